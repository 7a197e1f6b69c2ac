namespace ImageSentinel.Sensors.Stream;

/// <summary>What the bytes of a <see cref="SensorItem"/> are. The numbers are the capture file's; never reuse one.</summary>
public enum SensorKind : byte
{
    None = 0,

    /// <summary>Audit netlink datagrams as received: each prefixed by its length (u32, little endian), headers included.</summary>
    Audit = 1,

    /// <summary>Process connector datagrams as received, each prefixed by its length (u32, little endian).</summary>
    Processes = 2,

    /// <summary>File events under an engine's data root, resolved to paths: see <c>FileEventCodec</c>.</summary>
    Files = 3,

    /// <summary>Conntrack datagrams as received, each prefixed by its length (u32, little endian).</summary>
    Conntrack = 4,

    /// <summary>Captured packet heads that carry names.</summary>
    Packets = 5,

    /// <summary>Facts read at the edge because the core asked or an engine was found: JSON, see <c>FactCodec</c>.</summary>
    Facts = 6,

    /// <summary>A sensor's state or losses changed: JSON, see <c>FactCodec</c>.</summary>
    SensorState = 7,

    /// <summary>Nothing happened; time passed. Drives every timer of the pure core.</summary>
    Tick = 8,
}

/// <summary>One batch of bytes from one sensor, as it passes through the queue, the recorder and the pipeline.</summary>
/// <param name="Kind">What the bytes are.</param>
/// <param name="BootNanoseconds">CLOCK_BOOTTIME when the batch was read. Order and durations use this clock only.</param>
/// <param name="WallNanoseconds">CLOCK_REALTIME at the same moment, nanoseconds since the epoch; for display.</param>
/// <param name="Bytes">Owned by the item: the reader never touches it again. Rented from the shared array pool when
/// <paramref name="Pooled"/>; whoever takes the item out of the queue for good gives it back.</param>
/// <param name="Length">Bytes used in <paramref name="Bytes"/>.</param>
/// <param name="Pooled">True when <paramref name="Bytes"/> belongs to <c>ArrayPool&lt;byte&gt;.Shared</c>.</param>
/// <param name="LostBefore">Records known to be missing in front of this batch, whoever lost them; -1 when the kernel
/// said that some were lost but not how many.</param>
public readonly record struct SensorItem(
    SensorKind Kind,
    long BootNanoseconds,
    long WallNanoseconds,
    byte[] Bytes,
    int Length,
    bool Pooled = false,
    long LostBefore = 0)
{
    /// <summary>The used part of the buffer.</summary>
    public ReadOnlySpan<byte> Span => Bytes.AsSpan(0, Length);
}
