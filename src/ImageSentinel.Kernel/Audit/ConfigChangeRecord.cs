using System.Buffers;

namespace ImageSentinel.Kernel.Audit;

/// <summary>A CONFIG_CHANGE record (1305): somebody changed audit's rules or settings. This is how tampering shows.</summary>
/// <remarks>
/// Forms: <c>op=add_rule|remove_rule key="k" list=4 res=1</c>; <c>op=set audit_enabled=0 old=1 … res=1</c>. Switching
/// audit on again writes no record. Source: <c>audit_log_config_change</c> and <c>audit_log_rule_change</c>.
/// </remarks>
public readonly ref struct ConfigChangeRecord
{
    /// <summary>Raw <c>op</c>: <c>set</c>, <c>add_rule</c>, <c>remove_rule</c>, <c>updated_rules</c> and others.</summary>
    public ReadOnlySpan<byte> Operation { get; init; }

    /// <summary>Name of the changed setting, such as <c>audit_enabled</c> or <c>audit_pid</c>; empty for a rule.</summary>
    public ReadOnlySpan<byte> Setting { get; init; }

    /// <summary>New value of the setting.</summary>
    public long Value { get; init; }

    /// <summary>Value before the change.</summary>
    public long Old { get; init; }

    /// <summary>Raw value of the rule's key.</summary>
    public ReadOnlySpan<byte> Key { get; init; }

    /// <summary>Rule list, <c>AUDIT_FILTER_*</c>; -1 when the record is not about a rule.</summary>
    public int List { get; init; }

    /// <summary>False when the kernel refused the change.</summary>
    public bool Succeeded { get; init; }

    public uint LoginUserId { get; init; }

    public uint SessionId { get; init; }

    public bool IsRuleAdded => Operation.SequenceEqual("add_rule"u8);

    public bool IsRuleRemoved => Operation.SequenceEqual("remove_rule"u8);

    /// <summary>True when this record says that auditing is being switched off.</summary>
    public bool DisablesAudit => Succeeded && Setting.SequenceEqual("audit_enabled"u8) && Value == 0;

    /// <returns>InvalidData when a number is not one, or the record says neither an operation nor a setting.</returns>
    public static OperationStatus TryParse(ReadOnlySpan<byte> fields, out ConfigChangeRecord record)
    {
        record = default;
        ReadOnlySpan<byte> operation = default, setting = default, key = default;
        long value = 0, old = 0;
        int list = -1, result = 0;
        uint loginUser = SyscallRecord.Unset, session = SyscallRecord.Unset;

        var reader = new AuditFieldReader(fields);
        while (reader.TryRead())
        {
            bool valid = true;
            switch (reader.KeyWord)
            {
                case AuditKey.Op:
                    operation = reader.Value.Trim((byte)'"');
                    break;
                case AuditKey.Key:
                    key = reader.Value;
                    break;
                case AuditKey.List:
                    valid = AuditValue.TryParse(reader.Value, out list);
                    break;
                case AuditKey.Res:
                    valid = AuditValue.TryParse(reader.Value, out result);
                    break;
                case AuditKey.Old:
                    valid = AuditValue.TryParse(reader.Value, out old);
                    break;
                case AuditKey.Auid:
                    valid = AuditValue.TryParse(reader.Value, out loginUser);
                    break;
                case AuditKey.Ses:
                    valid = AuditValue.TryParse(reader.Value, out session);
                    break;
                case 0 when reader.Key.StartsWith("audit_"u8):
                    setting = reader.Key;
                    valid = AuditValue.TryParse(reader.Value, out value);
                    break;
                default:
                    break; // path, dir, subj, a newer kernel's
            }

            if (!valid)
            {
                return OperationStatus.InvalidData;
            }
        }

        if (operation.IsEmpty && setting.IsEmpty)
        {
            return OperationStatus.InvalidData;
        }

        record = new ConfigChangeRecord
        {
            Operation = operation,
            Setting = setting,
            Value = value,
            Old = old,
            Key = key,
            List = list,
            Succeeded = result == 1,
            LoginUserId = loginUser,
            SessionId = session,
        };
        return OperationStatus.Done;
    }
}
