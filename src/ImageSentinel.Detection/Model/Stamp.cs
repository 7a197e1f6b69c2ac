namespace ImageSentinel.Detection.Model;

/// <summary>One moment on two clocks. The core never reads a clock: every stamp comes with the stream.</summary>
/// <param name="Boot">Nanoseconds since boot, suspend included. Orders events and measures durations.</param>
/// <param name="Wall">Nanoseconds since the epoch. For display, and to match records that carry wall time only.</param>
public readonly record struct Stamp(long Boot, long Wall)
{
    public const long Millisecond = 1_000_000;
    public const long Second = 1_000_000_000;

    /// <summary>Wall time, to the 100 ns that a <see cref="DateTimeOffset"/> can hold.</summary>
    public DateTimeOffset Time => DateTimeOffset.UnixEpoch.AddTicks(Wall / 100);

    /// <summary>Nanoseconds from <paramref name="earlier"/> to this stamp on the boot clock.</summary>
    public long Since(Stamp earlier) => Boot - earlier.Boot;

    /// <summary>The same moment, <paramref name="nanoseconds"/> later.</summary>
    public Stamp Plus(long nanoseconds) => new(Boot + nanoseconds, Wall + nanoseconds);
}
