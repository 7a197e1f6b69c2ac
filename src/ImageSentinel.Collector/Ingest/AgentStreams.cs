using System.Collections.Concurrent;
using ImageSentinel.Collector.Store;

namespace ImageSentinel.Collector.Ingest;

/// <summary>The streams that are open now. A spool has one: the newest, because an agent that comes again has lost the
/// other, even when our side of it has not noticed yet.</summary>
internal sealed class AgentStreams
{
    private readonly ConcurrentDictionary<long, CancellationTokenSource> _open = new();

    public int Count => _open.Count;

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
