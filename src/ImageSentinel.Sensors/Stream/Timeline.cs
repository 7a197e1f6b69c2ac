namespace ImageSentinel.Sensors.Stream;

/// <summary>Brings the sensors' items into one order that respects cause and effect.</summary>
/// <remarks>
/// A fork is announced while it happens; an audit record passes through the kernel's audit thread and another socket, and
/// the two reading threads race. So audit batches wait <see cref="AuditHold"/> after they were read, and everything read
/// in that time goes first. The wait is far below what a person or the spool would notice.
/// </remarks>
public sealed class Timeline
{
    /// <summary>Nanoseconds an audit batch waits for what happened before it.</summary>
    public const long AuditHold = 15_000_000;

    private readonly Queue<SensorItem> _held = new();

    public int Held => _held.Count;

    /// <summary>Takes an item in; true when it is to be processed now.</summary>
    public bool Admit(in SensorItem item)
    {
        if (item.Kind != SensorKind.Audit)
        {
            return true;
        }

        _held.Enqueue(item);
        return false;
    }

    /// <summary>Gives back held items whose time has come; all of them when <paramref name="draining"/>.</summary>
    public bool TryRelease(long nowBoot, bool draining, out SensorItem item)
    {
        if (_held.TryPeek(out item) && (draining || nowBoot - item.BootNanoseconds >= AuditHold))
        {
            _ = _held.Dequeue();
            return true;
        }

        item = default;
        return false;
    }

    /// <summary>How long until the next held item is due; null when none is held.</summary>
    public TimeSpan? UntilNext(long nowBoot)
        => _held.TryPeek(out SensorItem item)
            ? TimeSpan.FromTicks(Math.Max(0, (AuditHold - (nowBoot - item.BootNanoseconds)) / 100))
            : null;
}
