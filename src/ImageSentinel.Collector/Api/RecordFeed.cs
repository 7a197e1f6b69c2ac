using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using ImageSentinel.Collector.Store;

namespace ImageSentinel.Collector.Api;

/// <summary>New records, for whoever is watching now. Best effort: the store is the truth.</summary>
/// <remarks>A watcher that reads too slowly loses the oldest of its queue and is told how many, so that it can read
/// the store again; nobody can make the collector's memory grow.</remarks>
internal sealed class RecordFeed
{
    /// <summary>Watchers at the same time; a further one is refused.</summary>
    public const int MaximumWatchers = 64;

    private const int QueueLength = 256;

    private readonly ConcurrentDictionary<Watcher, bool> _watchers = new();

    public void Publish(IReadOnlyList<StoredRecord> records)
    {
        if (_watchers.IsEmpty)
        {
            return;
        }

        foreach (Watcher watcher in _watchers.Keys)
        {
            foreach (StoredRecord record in records)
            {
                watcher.Offer(record);
            }
        }
    }

    /// <summary>Null when there are too many watchers already.</summary>
    public IAsyncEnumerable<FeedItem>? TryWatch(CancellationToken stop)
    {
        var watcher = new Watcher();
        if (_watchers.Count >= MaximumWatchers || !_watchers.TryAdd(watcher, true))
        {
            return null;
        }

        return ReadAsync(watcher, stop);
    }

    private async IAsyncEnumerable<FeedItem> ReadAsync(Watcher watcher, [EnumeratorCancellation] CancellationToken stop)
    {
        try
        {
            while (await WaitAsync(watcher.Reader, stop).ConfigureAwait(false))
            {
                while (watcher.Reader.TryRead(out StoredRecord? record))
                {
                    yield return new FeedItem(record, watcher.TakeLost());
                }
            }
        }
        finally
        {
            _watchers.TryRemove(watcher, out _);
        }
    }

    // The end of the collector or of the watcher is the end of the stream, not an error in it.
    private static async ValueTask<bool> WaitAsync(ChannelReader<StoredRecord> queue, CancellationToken stop)
    {
        try
        {
            return await queue.WaitToReadAsync(stop).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private sealed class Watcher
    {
        private readonly Channel<StoredRecord> _queue;
        private long _lost;

        public Watcher()
            => _queue = Channel.CreateBounded<StoredRecord>(
                new BoundedChannelOptions(QueueLength) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true },
                _ => Interlocked.Increment(ref _lost));

        public ChannelReader<StoredRecord> Reader => _queue.Reader;

        public void Offer(StoredRecord record) => _queue.Writer.TryWrite(record);

        public long TakeLost() => Interlocked.Exchange(ref _lost, 0);
    }
}

/// <summary>One record, and how many before it this watcher was too slow for.</summary>
internal readonly record struct FeedItem(StoredRecord Stored, long Lost);
