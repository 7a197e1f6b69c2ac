using ImageSentinel.Agent.Options;
using ImageSentinel.Detection.Model;
using ImageSentinel.Interop;
using ImageSentinel.Sensors.Lookups;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>Finds the configured engines, and finds them again when their socket or daemon was replaced.</summary>
/// <remarks>Looks at the socket file and the daemon's start time every two seconds; asks the engine only when one of them
/// changed. An engine that is down is not an error: the agent starts before it.</remarks>
internal sealed class EngineWatch(IReadOnlyList<EngineOptions> engines, Action<EngineFact> onFound) : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    private readonly Dictionary<int, EngineFact> _found = [];
    private readonly CancellationTokenSource _stop = new();
    private Task _task = Task.CompletedTask;

    public IReadOnlyCollection<EngineFact> Found
    {
        get
        {
            lock (_found)
            {
                return [.. _found.Values];
            }
        }
    }

    /// <summary>Looks once at every engine; then goes on in the background.</summary>
    public async Task StartAsync(CancellationToken cancellation)
    {
        await LookAsync(cancellation).ConfigureAwait(false);
        _task = Task.Run(() => WatchAsync(_stop.Token), CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        try
        {
            await _task.ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Stopped as asked.
        }

        _stop.Dispose();
    }

    private async Task WatchAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(Interval);
        while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false))
        {
            await LookAsync(stop).ConfigureAwait(false);
        }
    }

    private async Task LookAsync(CancellationToken stop)
    {
        for (int i = 0; i < engines.Count; i++)
        {
            EngineFact? before;
            lock (_found)
            {
                before = _found.GetValueOrDefault(i);
            }

            if (before is { Reachable: true } && IsSame(before))
            {
                continue;
            }

            if (before is { Reachable: false } && SafeFile.IdentityOf(before.Socket) is null && before.SocketInode == 0)
            {
                continue;
            }

            EngineFact now = await EngineDiscovery.FindAsync(i, engines[i].Socket, engines[i].DataRoot ?? "", stop).ConfigureAwait(false);
            if (now != before && (before is null || now.Reachable || before.Reachable || now.Note != before.Note))
            {
                lock (_found)
                {
                    _found[i] = now;
                }

                onFound(now);
            }
        }
    }

    private static bool IsSame(EngineFact engine)
        => SafeFile.IdentityOf(engine.Socket)?.Inode == engine.SocketInode
        && ProcessStat.TryReadStartTime(engine.DaemonPid, out long start) && start == engine.DaemonStartBoot;
}
