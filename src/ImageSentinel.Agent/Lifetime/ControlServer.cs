using System.Net.Sockets;
using ImageSentinel.Agent.Control;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace ImageSentinel.Agent.Lifetime;

/// <summary>The gRPC server on the control socket. Owns the socket file and removes it when disposed.</summary>
internal sealed class ControlServer : IAsyncDisposable
{
    private readonly Task<WebApplication> _serving;
    private readonly string _path;

    private ControlServer(Task<WebApplication> serving, string path) => (_serving, _path) = (serving, path);

    /// <summary>Completes when the socket answers; fails when it cannot.</summary>
    public Task Serving => _serving;

    /// <summary>Takes the socket now, and sets up the server on another thread: nothing that watches waits for it.</summary>
    /// <exception cref="Commands.CommandException">The socket cannot be had.</exception>
    public static ControlServer Start(string path, IAgentState state, AgentHistory history, ILoggerFactory loggers, CancellationToken cancellation)
    {
        Socket socket = ControlSocket.Bind(path);
        return new ControlServer(Task.Run(() => ServeAsync(socket, path, state, history, loggers, cancellation), CancellationToken.None), path);
    }

    private static async Task<WebApplication> ServeAsync(
        Socket socket, string path, IAgentState state, AgentHistory history, ILoggerFactory loggers, CancellationToken cancellation)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { Args = [] });
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton(loggers);
        // The shell owns signals and their order; a second owner would stop the server before the pipeline has drained.
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.Services.AddSingleton(state);
        builder.Services.AddSingleton(history);
        builder.Services.AddGrpc(options => options.EnableDetailedErrors = false);
        builder.WebHost.UseSockets(options => options.CreateBoundListenSocket = _ => socket);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.ListenUnixSocket(path, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.Limits.MaxConcurrentConnections = 64;
        });

        WebApplication app = builder.Build();
        app.MapGrpcService<AgentControlService>();
        try
        {
            await app.StartAsync(cancellation).ConfigureAwait(false);
            return app;
        }
        catch
        {
            await app.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            // Followers never finish by themselves; they are cut off at once.
            using var now = new CancellationTokenSource();
            WebApplication app = await _serving.ConfigureAwait(false);
            await now.CancelAsync().ConfigureAwait(false);
            await app.StopAsync(now.Token).ConfigureAwait(false);
            await app.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception) when (_serving.IsFaulted || _serving.IsCanceled)
        {
            // It never served; who waits for Serving is told.
        }
        finally
        {
            File.Delete(_path);
        }
    }

    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
