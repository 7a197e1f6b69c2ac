using System.Buffers;

namespace ImageSentinel.Kernel.Audit;

/// <summary>A URINGOP record (1336): one io_uring operation. It carries neither comm nor exe nor auid.</summary>
/// <remarks>
/// One event may hold several. An operation that has to wait is recorded twice, first with exit -11 (EAGAIN), which
/// only means "retried". Source: <c>audit_log_uring</c>, kernel/auditsc.c.
/// </remarks>
public readonly ref struct UringRecord
{
    private const int EAGAIN = 11;

    /// <summary><c>IORING_OP_*</c>: 9 SENDMSG, 13 ACCEPT, 16 CONNECT, 26 SEND, 45 SOCKET, 47 SEND_ZC, 48 SENDMSG_ZC.</summary>
    public int Operation { get; init; }

    public bool Succeeded { get; init; }

    /// <summary>Result or negative errno.</summary>
    public long Exit { get; init; }

    /// <summary>True when this record only says that the kernel tries again.</summary>
    public bool IsRetry => !Succeeded && Exit == -EAGAIN;

    public int ParentProcessId { get; init; }

    /// <summary>Thread group; with a polling kernel thread that of the ring's owner.</summary>
    public int ProcessId { get; init; }

    public uint UserId { get; init; }

    public uint EffectiveUserId { get; init; }

    public uint GroupId { get; init; }

    /// <summary>Raw value of <c>key</c>.</summary>
    public ReadOnlySpan<byte> Key { get; init; }

    /// <returns>InvalidData when a number is not one, or operation or pid is missing.</returns>
    public static OperationStatus TryParse(ReadOnlySpan<byte> fields, out UringRecord record)
    {
        record = default;
        int operation = -1, parent = 0, process = -1;
        uint user = 0, effectiveUser = 0, group = 0;
        long exit = 0;
        bool succeeded = false;
        ReadOnlySpan<byte> key = default;

        var reader = new AuditFieldReader(fields);
        while (reader.TryRead())
        {
            ReadOnlySpan<byte> value = reader.Value;
            bool valid = true;
            switch (reader.KeyWord)
            {
                case 0 when reader.Key.SequenceEqual("uring_op"u8):
                    valid = AuditValue.TryParse(value, out operation);
                    break;
                case AuditKey.Success:
                    succeeded = value.SequenceEqual("yes"u8);
                    valid = succeeded || value.SequenceEqual("no"u8);
                    break;
                case AuditKey.Exit:
                    valid = AuditValue.TryParse(value, out exit);
                    break;
                case AuditKey.Ppid:
                    valid = AuditValue.TryParse(value, out parent);
                    break;
                case AuditKey.Pid:
                    valid = AuditValue.TryParse(value, out process);
                    break;
                case AuditKey.Uid:
                    valid = AuditValue.TryParse(value, out user);
                    break;
                case AuditKey.Euid:
                    valid = AuditValue.TryParse(value, out effectiveUser);
                    break;
                case AuditKey.Gid:
                    valid = AuditValue.TryParse(value, out group);
                    break;
                case AuditKey.Key:
                    key = value;
                    break;
                default:
                    break;
            }

            if (!valid)
            {
                return OperationStatus.InvalidData;
            }
        }

        if (operation < 0 || process < 0)
        {
            return OperationStatus.InvalidData;
        }

        record = new UringRecord
        {
            Operation = operation,
            Succeeded = succeeded,
            Exit = exit,
            ParentProcessId = parent,
            ProcessId = process,
            UserId = user,
            EffectiveUserId = effectiveUser,
            GroupId = group,
            Key = key,
        };
        return OperationStatus.Done;
    }
}
