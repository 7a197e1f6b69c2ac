using ImageSentinel.Collector.Hosting;
using ImageSentinel.Collector.Store;
using Microsoft.Data.Sqlite;

namespace ImageSentinel.Collector.Ingest;

/// <summary>Says when a host falls silent, and when it speaks again. An agent that was killed cannot say it itself.</summary>
internal sealed partial class SilenceWatch(RecordReader reader, CollectorOptions options, TimeProvider time, ILogger<SilenceWatch> logger) : BackgroundService
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(5);

    private readonly HashSet<string> _silent = [];
    private bool _first = true;

    /// <summary>Looks once; answers the host ids that are silent now.</summary>
    public IReadOnlyCollection<string> Look()
    {
        DateTimeOffset limit = time.GetUtcNow() - options.SilentAfter;
        foreach ((string id, string hostname, DateTimeOffset lastSeen) in reader.LastWords())
        {
            if (lastSeen >= limit)
            {
                if (_silent.Remove(id))
                {
                    Back(logger, Visible.Of(hostname), id);
                }
            }
            else if (_silent.Add(id) && !_first)
            {
                // Those that were silent before this collector started are on the page; they are no news.
                Silent(logger, Visible.Of(hostname), id, lastSeen.UtcDateTime);
            }
        }

        _first = false;
        return _silent;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // Agents that were connected before a restart need a moment to come back.
        await Task.Delay(options.SilentAfter, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                Look();
            }
            catch (SqliteException)
            {
                // The store says itself when it fails.
            }

            await Task.Delay(Every, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    [LoggerMessage(EventIds.HostSilent, LogLevel.Warning, "Host {Hostname} ({HostId}) has been silent since {LastSeen:yyyy-MM-dd'T'HH:mm:ss'Z'}: its agent, its network or the host is down")]
    private static partial void Silent(ILogger logger, string hostname, string hostId, DateTime lastSeen);

    [LoggerMessage(EventIds.HostBack, LogLevel.Information, "Host {Hostname} ({HostId}) speaks again")]
    private static partial void Back(ILogger logger, string hostname, string hostId);
}
