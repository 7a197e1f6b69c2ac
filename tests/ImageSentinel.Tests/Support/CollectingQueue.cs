using System.Buffers.Binary;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Tests.Support;

/// <summary>A queue that keeps everything, or refuses everything while told to be full.</summary>
public sealed class CollectingQueue : ISensorQueue
{
    private readonly List<SensorItem> _items = [];

    /// <summary>While true every batch is dropped, as by a full queue.</summary>
    public bool Full { get; set; }

    public long Records { get; private set; }

    public long Refused { get; private set; }

    public IReadOnlyList<SensorItem> Items
    {
        get
        {
            lock (_items)
            {
                return [.. _items];
            }
        }
    }

    public bool TryWrite(in SensorItem item, int records)
    {
        lock (_items)
        {
            if (Full)
            {
                Refused += records;
                return false;
            }

            _items.Add(item);
            Records += records;
            Monitor.PulseAll(_items);
            return true;
        }
    }

    /// <summary>Waits until something that came satisfies <paramref name="predicate"/>. The limit only ends a failed
    /// test; a passing one never waits for it.</summary>
    public bool WaitFor(Func<IReadOnlyList<SensorItem>, bool> predicate, TimeSpan? limit = null)
    {
        ArgumentNullException.ThrowIfNull(predicate);
        DateTime end = DateTime.UtcNow + (limit ?? TimeSpan.FromSeconds(15));
        lock (_items)
        {
            while (!predicate(_items))
            {
                TimeSpan left = end - DateTime.UtcNow;
                if (left <= TimeSpan.Zero)
                {
                    return false;
                }

                Monitor.Wait(_items, left);
            }

            return true;
        }
    }

    /// <summary>The length-prefixed datagrams of all items of a kind.</summary>
    public static IEnumerable<byte[]> Datagrams(IEnumerable<SensorItem> items, SensorKind kind)
    {
        foreach (SensorItem item in items.Where(i => i.Kind == kind))
        {
            int at = 0;
            while (at < item.Length)
            {
                int length = BinaryPrimitives.ReadInt32LittleEndian(item.Bytes.AsSpan(at));
                yield return item.Bytes[(at + 4)..(at + 4 + length)];
                at += 4 + length;
            }
        }
    }
}
