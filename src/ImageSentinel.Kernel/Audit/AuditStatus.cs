using System.Buffers;
using System.Buffers.Binary;

namespace ImageSentinel.Kernel.Audit;

/// <summary><c>struct audit_status</c> (<c>linux/audit.h</c>): what audit is set to and what it has lost.</summary>
/// <remarks>The structure grows at its end: a newer kernel sends more than we know, an older one less.</remarks>
public readonly record struct AuditStatus
{
    /// <summary>Bytes that every kernel sends, up to and including the backlog.</summary>
    public const int MinimumSize = 32;

    /// <summary>Bytes of all fields known here.</summary>
    public const int Size = 44;

    /// <summary>0 off, 1 on, 2 on and locked until reboot.</summary>
    public uint Enabled { get; init; }

    /// <summary>What the kernel does when it loses a record, <c>AUDIT_FAIL_*</c>.</summary>
    public uint Failure { get; init; }

    /// <summary>Process of the audit daemon as last registered, which may be long dead; 0 for none.</summary>
    public uint OwnerProcessId { get; init; }

    /// <summary>Records a second; 0 is no limit.</summary>
    public uint RateLimit { get; init; }

    /// <summary>Records that may wait.</summary>
    public uint BacklogLimit { get; init; }

    /// <summary>Records the kernel discarded. Losses of multicast readers are not among them.</summary>
    public uint Lost { get; init; }

    /// <summary>Records waiting now.</summary>
    public uint Backlog { get; init; }

    /// <summary><c>AUDIT_FEATURE_BITMAP_*</c>; on old kernels a version number.</summary>
    public uint Features { get; init; }

    /// <summary>Jiffies for which a process may be held when the backlog is full.</summary>
    public uint BacklogWaitTime { get; init; }

    /// <summary>Jiffies for which processes were held so far.</summary>
    public uint BacklogWaitTimeActual { get; init; }

    /// <returns>NeedMoreData when fewer than <see cref="MinimumSize"/> bytes came.</returns>
    public static OperationStatus TryParse(ReadOnlySpan<byte> payload, out AuditStatus status)
    {
        status = default;
        if (payload.Length < MinimumSize)
        {
            return OperationStatus.NeedMoreData;
        }

        status = new AuditStatus
        {
            Enabled = Word(payload, 1),
            Failure = Word(payload, 2),
            OwnerProcessId = Word(payload, 3),
            RateLimit = Word(payload, 4),
            BacklogLimit = Word(payload, 5),
            Lost = Word(payload, 6),
            Backlog = Word(payload, 7),
            Features = Word(payload, 8),
            BacklogWaitTime = Word(payload, 9),
            BacklogWaitTimeActual = Word(payload, 10),
        };
        return OperationStatus.Done;
    }

    /// <summary>Writes the payload of AUDIT_SET.</summary>
    /// <param name="destination">At least <see cref="Size"/> bytes.</param>
    /// <param name="mask">The fields to change, <c>AUDIT_STATUS_*</c>; the kernel leaves all others alone.</param>
    /// <returns>Bytes written, <see cref="Size"/>.</returns>
    public int WriteSet(Span<byte> destination, uint mask)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, Size);
        ReadOnlySpan<uint> words =
        [
            mask, Enabled, Failure, OwnerProcessId, RateLimit, BacklogLimit, Lost, Backlog, Features, BacklogWaitTime,
            BacklogWaitTimeActual,
        ];
        for (int i = 0; i < words.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(destination[(i * sizeof(uint))..], words[i]);
        }

        return Size;
    }

    private static uint Word(ReadOnlySpan<byte> payload, int index)
        => payload.Length >= (index + 1) * sizeof(uint)
            ? BinaryPrimitives.ReadUInt32LittleEndian(payload[(index * sizeof(uint))..])
            : 0;
}
