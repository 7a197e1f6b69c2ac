namespace ImageSentinel.Sensors.Reading;

/// <summary>A short bounded queue between one thread that reads and one that works. A full one makes the reader wait.</summary>
/// <remarks>BlockingCollection spins before it sleeps, on both sides: at a thousand hand-overs a second that is more CPU
/// than the work. A monitor sleeps.</remarks>
internal sealed class Handoff<T>(int capacity)
{
    private readonly Queue<T> _items = new(capacity);
    private bool _completed;

    public void Add(T item)
    {
        lock (_items)
        {
            while (_items.Count >= capacity && !_completed)
            {
                Monitor.Wait(_items);
            }

            _items.Enqueue(item);
            Monitor.PulseAll(_items);
        }
    }

    /// <summary>Nothing more comes; what is there is still taken.</summary>
    public void Complete()
    {
        lock (_items)
        {
            _completed = true;
            Monitor.PulseAll(_items);
        }
    }

    /// <summary>Waits for the next item. False once, and for good, when completed and empty.</summary>
    public bool TryTake([System.Diagnostics.CodeAnalysis.MaybeNullWhen(false)] out T item)
    {
        lock (_items)
        {
            while (_items.Count == 0 && !_completed)
            {
                Monitor.Wait(_items);
            }

            bool taken = _items.TryDequeue(out item);
            Monitor.PulseAll(_items);
            return taken;
        }
    }
}
