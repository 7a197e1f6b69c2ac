using System.Buffers;

namespace ImageSentinel.Kernel.Audit;

/// <summary>A SYSCALL record (1300): which call, by whom, with what result.</summary>
/// <remarks>
/// <see cref="ProcessId"/> is the thread group in the host's pid namespace, also for processes in containers; the
/// record names no thread, container or namespace. Source: <c>audit_log_exit</c>, kernel/auditsc.c.
/// </remarks>
public readonly ref struct SyscallRecord
{
    /// <summary>What <see cref="LoginUserId"/> and <see cref="SessionId"/> hold for everything a daemon started.</summary>
    public const uint Unset = uint.MaxValue;

    /// <summary><c>AUDIT_ARCH_*</c> of the entry used: a 64-bit program that enters by int 0x80 counts as i386.</summary>
    public uint Architecture { get; init; }

    public int Number { get; init; }

    /// <summary>False too for a non-blocking connect on its way (exit -115), and when the call never returned.</summary>
    public bool Succeeded { get; init; }

    /// <summary>Result, or the negative errno; zero when <see cref="HasResult"/> is false.</summary>
    public long Exit { get; init; }

    /// <summary>False when the call did not return, for instance because the process was killed in it.</summary>
    public bool HasResult { get; init; }

    public ulong A0 { get; init; }

    public ulong A1 { get; init; }

    public ulong A2 { get; init; }

    public ulong A3 { get; init; }

    public int ParentProcessId { get; init; }

    public int ProcessId { get; init; }

    /// <summary><c>auid</c>: the user who logged in, kept across su and sudo; <see cref="Unset"/> under daemons.</summary>
    public uint LoginUserId { get; init; }

    public uint UserId { get; init; }

    public uint EffectiveUserId { get; init; }

    public uint GroupId { get; init; }

    public uint SessionId { get; init; }

    /// <summary>Raw value of <c>comm</c>, at most 15 bytes when decoded; the process may choose it.</summary>
    public ReadOnlySpan<byte> Command { get; init; }

    /// <summary>Raw value of <c>exe</c>: the path as seen in the process's own mount namespace.</summary>
    public ReadOnlySpan<byte> Executable { get; init; }

    /// <summary>Raw value of <c>key</c>: of the first rule that matched, even when several would.</summary>
    public ReadOnlySpan<byte> Key { get; init; }

    /// <returns>InvalidData when a number is not one, a field comes twice, or arch, syscall or pid is missing.</returns>
    public static OperationStatus TryParse(ReadOnlySpan<byte> fields, out SyscallRecord record)
    {
        record = default;

        uint userId = 0, effectiveUserId = 0, groupId = 0, loginUserId = Unset, sessionId = Unset;
        int number = 0, parent = 0, process = 0;
        ulong architecture = 0, a0 = 0, a1 = 0, a2 = 0, a3 = 0;
        long exit = 0;
        bool succeeded = false;
        ReadOnlySpan<byte> command = default, executable = default, key = default;
        Seen seen = default;

        var reader = new AuditFieldReader(fields);
        while (reader.TryRead())
        {
            ReadOnlySpan<byte> value = reader.Value;
            bool valid = true;
            Seen field;
            switch (reader.KeyWord)
            {
                case AuditKey.Arch:
                    field = Seen.Architecture;
                    valid = AuditValue.TryParseHex(value, out architecture) && architecture <= uint.MaxValue;
                    break;
                case AuditKey.Syscall:
                    field = Seen.Number;
                    valid = AuditValue.TryParseSigned(value, out number);
                    break;
                case AuditKey.Success:
                    field = Seen.Success;
                    succeeded = value.SequenceEqual("yes"u8);
                    valid = succeeded || value.SequenceEqual("no"u8);
                    break;
                case AuditKey.Exit:
                    field = Seen.Exit;
                    valid = AuditValue.TryParse(value, out exit);
                    break;
                case AuditKey.A0:
                    field = Seen.A0;
                    valid = AuditValue.TryParseHex(value, out a0);
                    break;
                case AuditKey.A1:
                    field = Seen.A1;
                    valid = AuditValue.TryParseHex(value, out a1);
                    break;
                case AuditKey.A2:
                    field = Seen.A2;
                    valid = AuditValue.TryParseHex(value, out a2);
                    break;
                case AuditKey.A3:
                    field = Seen.A3;
                    valid = AuditValue.TryParseHex(value, out a3);
                    break;
                case AuditKey.Ppid:
                    field = Seen.Parent;
                    valid = AuditValue.TryParse(value, out parent);
                    break;
                case AuditKey.Pid:
                    field = Seen.Process;
                    valid = AuditValue.TryParse(value, out process);
                    break;
                case AuditKey.Auid:
                    field = Seen.LoginUser;
                    valid = AuditValue.TryParse(value, out loginUserId);
                    break;
                case AuditKey.Uid:
                    field = Seen.User;
                    valid = AuditValue.TryParse(value, out userId);
                    break;
                case AuditKey.Euid:
                    field = Seen.EffectiveUser;
                    valid = AuditValue.TryParse(value, out effectiveUserId);
                    break;
                case AuditKey.Gid:
                    field = Seen.Group;
                    valid = AuditValue.TryParse(value, out groupId);
                    break;
                case AuditKey.Ses:
                    field = Seen.Session;
                    valid = AuditValue.TryParse(value, out sessionId);
                    break;
                case AuditKey.Comm:
                    field = Seen.Command;
                    command = value;
                    break;
                case AuditKey.Exe:
                    field = Seen.Executable;
                    executable = value;
                    break;
                case AuditKey.Key:
                    field = Seen.Key;
                    key = value;
                    break;
                default:
                    continue; // suid, tty, subj, or a newer kernel's
            }

            if (!valid || (seen & field) != 0)
            {
                return OperationStatus.InvalidData;
            }

            seen |= field;
        }

        if ((seen & Seen.Required) != Seen.Required)
        {
            return OperationStatus.InvalidData;
        }

        record = new SyscallRecord
        {
            Architecture = (uint)architecture,
            Number = number,
            Succeeded = succeeded,
            Exit = exit,
            HasResult = (seen & Seen.Exit) != 0,
            A0 = a0,
            A1 = a1,
            A2 = a2,
            A3 = a3,
            ParentProcessId = parent,
            ProcessId = process,
            LoginUserId = loginUserId,
            UserId = userId,
            EffectiveUserId = effectiveUserId,
            GroupId = groupId,
            SessionId = sessionId,
            Command = command,
            Executable = executable,
            Key = key,
        };
        return OperationStatus.Done;
    }

    [Flags]
    private enum Seen
    {
        Architecture = 1 << 0,
        Number = 1 << 1,
        Success = 1 << 2,
        Exit = 1 << 3,
        A0 = 1 << 4,
        A1 = 1 << 5,
        A2 = 1 << 6,
        A3 = 1 << 7,
        Parent = 1 << 8,
        Process = 1 << 9,
        LoginUser = 1 << 10,
        User = 1 << 11,
        EffectiveUser = 1 << 12,
        Group = 1 << 13,
        Session = 1 << 14,
        Command = 1 << 15,
        Executable = 1 << 16,
        Key = 1 << 17,
        Required = Architecture | Number | Process,
    }
}
