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
    private readonly WebApplication _app;
    private readonly string _path;

    private ControlServer(WebApplication app, string path) => (_app, _path) = (app, path);

    /// <exception cref="Commands.CommandException">The socket cannot be had.</exception>
    public static async Task<ControlServer> StartAsync(
        string path, IAgentState state, AgentHistory history, ILoggerFactory loggers, CancellationToken cancellation)
    {
        Socket socket = ControlSocket.Bind(path);
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
            return new ControlServer(app, path);
        }
        catch
        {
            await app.DisposeAsync().ConfigureAwait(false);
            File.Delete(path);
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        // Followers never finish by themselves; they are cut off at once.
        using var now = new CancellationTokenSource();
        await now.CancelAsync().ConfigureAwait(false);
        await _app.StopAsync(now.Token).ConfigureAwait(false);
        await _app.DisposeAsync().ConfigureAwait(false);
        File.Delete(_path);
    }

    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
