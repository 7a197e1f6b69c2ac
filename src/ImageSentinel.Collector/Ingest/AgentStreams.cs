using System.Collections.Concurrent;
using ImageSentinel.Collector.Store;

namespace ImageSentinel.Collector.Ingest;

/// <summary>The streams that are open now. A spool has one: the newest, because an agent that comes again has lost the
/// other, even when our side of it has not noticed yet.</summary>
internal sealed class AgentStreams
{
    private const int RefusalsTold = 5;

    private readonly ConcurrentDictionary<long, CancellationTokenSource> _open = new();
    private readonly Lock _gate = new();
    private DateTimeOffset _minute;
    private long _refusals;

    public int Count => _open.Count;

    /// <summary>True for the first few refusals of a minute, which are worth a line each.</summary>
    /// <param name="now">Wall clock.</param>
    /// <param name="untold">Those of the minute before that got none.</param>
    public bool MayTellRefusal(DateTimeOffset now, out long untold)
    {
        lock (_gate)
        {
            untold = 0;
            if (now - _minute > TimeSpan.FromMinutes(1) || now < _minute)
            {
                untold = Math.Max(0, _refusals - RefusalsTold);
                (_minute, _refusals) = (now, 0);
            }

            return ++_refusals <= RefusalsTold;
        }
    }

    /// <summary>Ends an older stream of the same spool. <paramref name="replaced"/> is cancelled when this one is older.</summary>
    public void Enter(SpoolIdentity spool, CancellationTokenSource replaced)
    {
        CancellationTokenSource? older = null;
        _open.AddOrUpdate(spool.SpoolKey, replaced, (_, present) =>
        {
            older = present;
            return replaced;
        });
        Cancel(older);
    }

    public void Leave(SpoolIdentity spool, CancellationTokenSource replaced)
        => _open.TryRemove(new KeyValuePair<long, CancellationTokenSource>(spool.SpoolKey, replaced));

    private static void Cancel(CancellationTokenSource? older)
    {
        try
        {
            older?.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It left by itself between our look and now.
        }
    }
}
