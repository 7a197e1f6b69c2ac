using Grpc.Net.Client;
using ImageSentinel.Collector.Hosting;
using ImageSentinel.Collector.Store;
using ImageSentinel.V1;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace ImageSentinel.Tests.Collector;

/// <summary>The real collector in this process, on loopback ports of its own, over a state directory that may outlive it.</summary>
internal sealed class CollectorHarness : IAsyncDisposable
{
    private readonly WebApplication _app;

    private CollectorHarness(WebApplication app)
    {
        _app = app;
        string[] urls = [.. app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses];
        AgentUrl = new Uri(urls[0]);
        Web = new HttpClient { BaseAddress = new Uri(urls[1]) };
    }

    public Uri AgentUrl { get; }

    public HttpClient Web { get; }

    public RecordReader Reader => _app.Services.GetRequiredService<RecordReader>();

    public RecordStore Store => _app.Services.GetRequiredService<RecordStore>();

    public IServiceProvider Services => _app.Services;

    public static async Task<CollectorHarness> StartAsync(
        string state,
        Func<CollectorOptions, CollectorOptions>? change = null,
        TimeProvider? time = null,
        int agentPort = 0,
        string scheme = "http")
    {
        var options = new CollectorOptions
        {
            Listen = Address($"{scheme}://127.0.0.1:{agentPort}"),
            Web = Address("http://127.0.0.1:0"),
            StateDirectory = state,
        };
        options = change?.Invoke(options) ?? options;
        options.Validate();
        WebApplication app = CollectorProcess.Build(options, time ?? TimeProvider.System, logging => logging.SetMinimumLevel(LogLevel.None));
        try
        {
            await CollectorProcess.StartAsync(app, CancellationToken.None);
        }
        catch
        {
            await app.DisposeAsync();
            throw;
        }

        return new CollectorHarness(app);
    }

    public static ListenAddress Address(string text)
        => ListenAddress.TryParse(text, out ListenAddress? address, out string? error) ? address : throw new ArgumentException(error);

    public GrpcChannel Channel() => GrpcChannel.ForAddress(AgentUrl);

    public async ValueTask DisposeAsync()
    {
        Web.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}
