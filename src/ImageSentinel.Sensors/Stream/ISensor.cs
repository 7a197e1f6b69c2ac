namespace ImageSentinel.Sensors.Stream;

/// <summary>What an instrument can do right now, as <c>doctor</c>, <c>status</c> and every finding's coverage tell it.</summary>
public enum SensorHealth
{
    Off,
    Degraded,
    Active,
}

/// <summary>A sensor's state in words a person can act on.</summary>
/// <param name="Health">Off, degraded or active.</param>
/// <param name="Reason">Empty when active; else what is missing and how to mend it, one line.</param>
public readonly record struct SensorStatus(SensorHealth Health, string Reason);

/// <summary>Where a sensor puts what it read. Never blocks: a full queue drops the batch and counts it.</summary>
public interface ISensorQueue
{
    /// <summary>
    /// Hands a batch over. Ownership of the buffer passes to the queue in every case, also when it is full and the
    /// batch is dropped; <paramref name="records"/> is then added to the hole in front of the next batch of this kind.
    /// </summary>
    /// <returns>False when the queue was full and the batch was dropped and counted.</returns>
    bool TryWrite(in SensorItem item, int records);
}

/// <summary>One kernel instrument, switched on and off as a unit. Owns its descriptors and its reading thread.</summary>
public interface ISensor : IAsyncDisposable
{
    /// <summary>"audit", "processes", "fanotify", "conntrack", "names", "bpf" or "engine".</summary>
    string Name { get; }

    /// <summary>State now; cheap, callable from any thread.</summary>
    SensorStatus Status { get; }

    /// <summary>Totals since start; always received = queued + dropped.</summary>
    LossTotals Losses { get; }

    /// <summary>
    /// Opens the instrument and starts its thread, or decides that it stays off. Never throws for what the host lacks
    /// or refuses: that becomes <see cref="Status"/>.
    /// </summary>
    void Start(ISensorQueue queue);
}

/// <summary>Where records went. Always: received = queued + dropped.</summary>
/// <param name="Received">Records read from the kernel.</param>
/// <param name="Queued">Records handed on.</param>
/// <param name="Dropped">Records thrown away by us because the queue was full.</param>
/// <param name="LostInKernel">Records the kernel says it discarded before we could read.</param>
/// <param name="Overflows">Times the kernel reported an overflow without saying how many records it cost.</param>
public readonly record struct LossTotals(long Received, long Queued, long Dropped, long LostInKernel, long Overflows);
