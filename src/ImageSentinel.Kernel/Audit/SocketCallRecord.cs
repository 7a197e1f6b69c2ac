using System.Buffers;

namespace ImageSentinel.Kernel.Audit;

/// <summary>A SOCKETCALL record (1304): the arguments that a 32-bit program passed to <c>socketcall</c>.</summary>
/// <remarks>Which call it was stands in <c>a0</c> of the SYSCALL record (<see cref="SocketCallNumber"/>).</remarks>
public readonly ref struct SocketCallRecord
{
    public int Count { get; init; }

    public ulong A0 { get; init; }

    public ulong A1 { get; init; }

    public ulong A2 { get; init; }

    public ulong A3 { get; init; }

    /// <returns>InvalidData when a number is not one or <c>nargs</c> is missing.</returns>
    public static OperationStatus TryParse(ReadOnlySpan<byte> fields, out SocketCallRecord record)
    {
        record = default;
        int count = -1;
        ulong a0 = 0, a1 = 0, a2 = 0, a3 = 0;

        var reader = new AuditFieldReader(fields);
        while (reader.TryRead())
        {
            ReadOnlySpan<byte> value = reader.Value;
            bool valid = reader.KeyWord switch
            {
                AuditKey.Nargs => AuditValue.TryParse(value, out count),
                AuditKey.A0 => AuditValue.TryParseHex(value, out a0),
                AuditKey.A1 => AuditValue.TryParseHex(value, out a1),
                AuditKey.A2 => AuditValue.TryParseHex(value, out a2),
                AuditKey.A3 => AuditValue.TryParseHex(value, out a3),
                _ => true,
            };

            if (!valid)
            {
                return OperationStatus.InvalidData;
            }
        }

        if (count < 0)
        {
            return OperationStatus.InvalidData;
        }

        record = new SocketCallRecord { Count = count, A0 = a0, A1 = a1, A2 = a2, A3 = a3 };
        return OperationStatus.Done;
    }
}

/// <summary>Call numbers of <c>socketcall</c>, <c>linux/net.h</c>.</summary>
public static class SocketCallNumber
{
    public const int Connect = 3;
    public const int Accept = 5;
    public const int SendTo = 11;
    public const int SendMessage = 16;
    public const int Accept4 = 18;
    public const int SendMultipleMessages = 20;
}
