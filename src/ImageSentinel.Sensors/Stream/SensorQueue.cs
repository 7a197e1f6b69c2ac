using System.Buffers;

namespace ImageSentinel.Sensors.Stream;

/// <summary>The one queue between the threads that read and the thread that understands.</summary>
/// <remarks>
/// Bounded by items and by bytes. A full queue drops the newest batch and counts it; the next batch of that kind that fits
/// carries the size of the hole. Facts are never dropped for room: the core asked for them, and they are few.
/// </remarks>
public sealed class SensorQueue : ISensorQueue, IDisposable
{
    private const int MaximumItems = 16_384;
    private const long MaximumBytes = 16L << 20;

    private readonly Lock _lock = new();
    private readonly AutoResetEvent _available = new(false);
    private readonly Queue<SensorItem> _items = new();
    private readonly long[] _holes = new long[16];
    private long _bytes;
    private bool _waiting;

    /// <summary>Batches dropped because the queue was full.</summary>
    public long DroppedBatches { get; private set; }

    public bool TryWrite(in SensorItem item, int records)
    {
        bool wake;
        lock (_lock)
        {
            ref long hole = ref _holes[(int)item.Kind & 15];
            bool fact = item.Kind is SensorKind.Facts or SensorKind.SensorState;
            if (!fact && (_items.Count >= MaximumItems || _bytes + item.Bytes.Length > MaximumBytes))
            {
                hole = Sum(Sum(hole, item.LostBefore), records);
                DroppedBatches++;
                Return(item);
                return false;
            }

            _items.Enqueue(hole == 0 ? item : item with { LostBefore = Sum(hole, item.LostBefore) });
            hole = 0;
            _bytes += item.Bytes.Length;
            wake = _waiting;
            _waiting = false;
        }

        if (wake)
        {
            _ = _available.Set();
        }

        return true;
    }

    /// <summary>Takes the oldest item; waits up to <paramref name="patience"/> for one.</summary>
    public bool TryRead(out SensorItem item, TimeSpan patience)
    {
        lock (_lock)
        {
            if (TryDequeue(out item))
            {
                return true;
            }

            _waiting = true;
        }

        // Waits are whole milliseconds, and the rest of one would be none: asked again and again, it would spin. This kind
        // of event sleeps at once; the slim ones try for a while first, which in a flood costs more than the records.
        _ = _available.WaitOne((int)Math.Ceiling(patience.TotalMilliseconds));
        lock (_lock)
        {
            _waiting = false;
            return TryDequeue(out item);
        }
    }

    /// <summary>Gives a batch's buffer back. The item must not be used again.</summary>
    public static void Return(in SensorItem item)
    {
        if (item.Pooled)
        {
            ArrayPool<byte>.Shared.Return(item.Bytes);
        }
    }

    public void Dispose() => _available.Dispose();

    private static long Sum(long a, long b) => a < 0 || b < 0 ? -1 : a + b;

    private bool TryDequeue(out SensorItem item)
    {
        if (_items.TryDequeue(out item))
        {
            _bytes -= item.Bytes.Length;
            return true;
        }

        return false;
    }
}
