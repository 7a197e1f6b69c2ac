using Grpc.Core;
using ImageSentinel.V1;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Polly;
using Polly.Retry;

namespace ImageSentinel.Agent.Uplink;

/// <summary>Sends what the spool holds to the collector, in order, for as long as the agent runs.</summary>
/// <remarks>
/// At least once: a record leaves the spool when the collector has acknowledged it, and is sent again after anything
/// else. The collector knows (spool, sequence), so nothing appears twice. Each change of state is said once.
/// </remarks>
internal sealed partial class CollectorUplink : BackgroundService
{
    private readonly UplinkOptions _options;
    private readonly FindingSpool _spool;
    private readonly Func<HostInfo> _host;
    private readonly Func<Coverage?> _coverage;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly ResiliencePipeline _reconnect;
    private volatile UplinkState _state;

    /// <param name="host">Who we are; asked at each connect.</param>
    /// <param name="coverage">The coverage now, for heartbeats; null when not known yet.</param>
    /// <exception cref="ArgumentException">The options cannot be used; see <see cref="UplinkOptions.Problem"/>.</exception>
    public CollectorUplink(UplinkOptions options, FindingSpool spool, Func<HostInfo> host, Func<Coverage?> coverage, ILogger<CollectorUplink> logger, TimeProvider time)
    {
        if (options.Problem() is { } problem)
        {
            throw new ArgumentException(problem, nameof(options));
        }

        (_options, _spool, _host, _coverage, _logger, _time) = (options, spool, host, coverage, logger, time);
        _state = new UplinkState(false, "connecting", time.GetUtcNow());
        _reconnect = new ResiliencePipelineBuilder { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions
            {
                ShouldHandle = new PredicateBuilder().Handle<UplinkException>(),
                MaxRetryAttempts = int.MaxValue,
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                Delay = TimeSpan.FromMilliseconds(500),
                MaxDelay = options.MaximumPause,
            })
            .Build();
    }

    public UplinkState State => _state;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // A stop first lets the stream empty the spool, for a moment.
        using var abandon = new CancellationTokenSource();
        using CancellationTokenRegistration _ = stoppingToken.Register(() => abandon.CancelAfter(_state.Connected ? _options.DrainWithin : TimeSpan.Zero));
        try
        {
            while (!stoppingToken.IsCancellationRequested)
            {
                await _reconnect.ExecuteAsync(
                    async stop => await ConnectAsync(stoppingToken, stop).ConfigureAwait(false), abandon.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // What is left is in the spool.
        }
    }

    // Returns when a stream that was of use has ended, so that the pauses begin small again; otherwise throws.
    private async Task ConnectAsync(CancellationToken drain, CancellationToken stop)
    {
        UplinkChannel? channel = null;
        UplinkStream? stream = null;
        try
        {
            channel = new UplinkChannel(_options);
            stream = new UplinkStream(channel.Channel, _options, _spool, _coverage, _time);
            await stream.OpenAsync(_host(), stop).ConfigureAwait(false);
            Become(new UplinkState(true, "connected", _time.GetUtcNow()));
            await stream.RunAsync(drain, stop).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            throw;
        }
        catch (Exception error) when (error is UplinkException or RpcException or TimeoutException or OperationCanceledException or IOException or HttpRequestException)
        {
            // Our own stop broke the attempt: what it looks like says nothing about the collector.
            stop.ThrowIfCancellationRequested();

            string why = UplinkFailure.Explain(error, _options, channel, greeted: _state.Connected);
            Become(new UplinkState(false, why, _time.GetUtcNow()));
            if (stream is not { WasUseful: true })
            {
                throw new UplinkException(why, error);
            }

            // Every agent of a collector that restarts is here at this moment; come back one by one.
            await Task.Delay(TimeSpan.FromMilliseconds(Random.Shared.Next(500)), _time, stop).ConfigureAwait(false);
        }
        finally
        {
            if (stream is not null)
            {
                await stream.DisposeAsync().ConfigureAwait(false);
            }

            channel?.Dispose();
        }
    }

    private void Become(UplinkState next)
    {
        UplinkState last = _state;
        if (last.Connected == next.Connected && last.Text == next.Text)
        {
            return;
        }

        _state = next;
        if (next.Connected)
        {
            Connected(_logger, _options.Url.Authority, _spool.Status.Depth);
        }
        else
        {
            Lost(_logger, next.Text, _spool.Status.Depth);
        }
    }

    [LoggerMessage(UplinkEventIds.CollectorConnected, LogLevel.Information, "Connected to the collector {Authority}; {Depth} records to send")]
    private static partial void Connected(ILogger logger, string authority, long depth);

    [LoggerMessage(UplinkEventIds.CollectorLost, LogLevel.Warning, "Collector: {Reason}; {Depth} records wait in the spool")]
    private static partial void Lost(ILogger logger, string reason, long depth);
}
