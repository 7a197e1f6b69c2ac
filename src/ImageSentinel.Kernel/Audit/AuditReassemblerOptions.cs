namespace ImageSentinel.Kernel.Audit;

/// <summary>Bounds of an <see cref="AuditReassembler"/>. Memory stays below MaxEvents × MaxEventBytes.</summary>
public sealed record AuditReassemblerOptions
{
    /// <summary>Events open or waiting to be taken at one time. Two processors keep about three open.</summary>
    public int MaxEvents { get; init; } = 256;

    /// <summary>Bytes of one event; a quarter of it is out of reach for EXECVE records.</summary>
    public int MaxEventBytes { get; init; } = 64 * 1024;

    public int MaxEventRecords { get; init; } = 512;

    /// <summary>Nanoseconds after which an event without an end record is handed out as it is.</summary>
    public long MaxAgeNanoseconds { get; init; } = 2_000_000_000;

    /// <summary>Nanoseconds after which a serial that never came counts as lost.</summary>
    /// <remarks>The kernel takes the serial just before it formats the record, so only preemption delays one.</remarks>
    public long GapPatienceNanoseconds { get; init; } = 1_000_000_000;

    /// <summary>Serials remembered behind the newest one; a power of two.</summary>
    public int Window { get; init; } = 8192;

    /// <summary>Bytes that idle slots may keep between events.</summary>
    public int MaxIdleBytes { get; init; } = 2 * 1024 * 1024;
}
