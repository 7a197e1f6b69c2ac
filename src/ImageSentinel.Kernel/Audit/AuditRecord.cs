using System.Buffers;

namespace ImageSentinel.Kernel.Audit;

/// <summary>One kernel audit record, still in the buffer it was read into.</summary>
/// <remarks>
/// Records that share <see cref="Serial"/> and <see cref="TimestampMilliseconds"/> form one audit event. The stamp is
/// taken when the system call begins, with the grain of the kernel's tick (4 ms at HZ=250); the record is written
/// when the call ends.
/// </remarks>
public readonly ref struct AuditRecord
{
    private AuditRecord(ushort type, long timestampMilliseconds, uint serial, ReadOnlySpan<byte> fields)
    {
        Type = type;
        TimestampMilliseconds = timestampMilliseconds;
        Serial = serial;
        Fields = fields;
    }

    /// <summary>One of <see cref="AuditRecordType"/>, or a number of a newer kernel.</summary>
    public ushort Type { get; }

    /// <summary>Wall-clock milliseconds since the epoch.</summary>
    public long TimestampMilliseconds { get; }

    public uint Serial { get; }

    public DateTimeOffset Timestamp => DateTimeOffset.FromUnixTimeMilliseconds(TimestampMilliseconds);

    /// <summary>The <c>key=value</c> text after the header; read it with <see cref="AuditFieldReader"/>.</summary>
    public ReadOnlySpan<byte> Fields { get; }

    /// <summary>Parses <c>audit(1490137971.011:50406): key=value …</c>, the payload of a netlink audit message.</summary>
    public static OperationStatus TryParse(ushort type, ReadOnlySpan<byte> payload, out AuditRecord record)
    {
        record = default;

        if (!payload.StartsWith("audit("u8))
        {
            return OperationStatus.InvalidData;
        }

        ReadOnlySpan<byte> rest = payload["audit("u8.Length..];
        if (!TryTakeNumber(ref rest, (byte)'.', int.MaxValue, out long seconds)
            || !TryTakeNumber(ref rest, (byte)':', 999, out long milliseconds)
            || !TryTakeNumber(ref rest, (byte)')', uint.MaxValue, out long serial)
            || rest is not [(byte)':', ..])
        {
            return OperationStatus.InvalidData;
        }

        ReadOnlySpan<byte> fields = rest[1..];

        // The kernel writes one blank after the header, an EOE nothing more; a log file adds a line end.
        while (fields is [(byte)' ', ..])
        {
            fields = fields[1..];
        }

        while (fields is [.., (byte)' ' or (byte)'\n' or (byte)0])
        {
            fields = fields[..^1];
        }

        record = new AuditRecord(type, (seconds * 1000) + milliseconds, (uint)serial, fields);
        return OperationStatus.Done;
    }

    private static bool TryTakeNumber(ref ReadOnlySpan<byte> text, byte terminator, long limit, out long value)
    {
        // The largest number here has ten digits; eighteen cannot overflow.
        const int MaximumDigits = 18;
        value = 0;
        for (int i = 0; i < text.Length && i <= MaximumDigits; i++)
        {
            uint digit = (uint)text[i] - '0';
            if (digit > 9)
            {
                bool taken = i > 0 && text[i] == terminator && value <= limit;
                text = taken ? text[(i + 1)..] : text;
                return taken;
            }

            value = (value * 10) + digit;
        }

        return false;
    }
}
