using System.Buffers;
using ImageSentinel.Kernel.Numbers;

namespace ImageSentinel.Kernel.Audit;

/// <summary>One line of a text log as auditd writes it: <c>type=SYSCALL msg=audit(…): …</c>.</summary>
/// <remarks>For recordings, tests and benchmarks; on a live host the records come from netlink.</remarks>
public static class AuditLogLine
{
    private const byte EnrichmentSeparator = 0x1d;

    private static readonly (string Name, ushort Type)[] Others =
    [
        ("SOCKETCALL", AuditRecordType.SocketCall),
        ("CONFIG_CHANGE", AuditRecordType.ConfigChange),
        ("URINGOP", AuditRecordType.UringOperation),
        ("NETFILTER_CFG", AuditRecordType.NetfilterConfig),
        ("BPF", AuditRecordType.Bpf),
        ("EVENT_LISTENER", AuditRecordType.EventListener),
        ("ANOM_PROMISCUOUS", AuditRecordType.Promiscuous),
        ("LOGIN", AuditRecordType.Login),
        ("KERNEL", AuditRecordType.Kernel),
        ("IPC", AuditConstants.AUDIT_IPC),
        ("FD_PAIR", AuditConstants.AUDIT_FD_PAIR),
        ("OBJ_PID", AuditConstants.AUDIT_OBJ_PID),
        ("TTY", AuditConstants.AUDIT_TTY),
        ("CAPSET", AuditConstants.AUDIT_CAPSET),
        ("MMAP", AuditConstants.AUDIT_MMAP),
        ("SECCOMP", AuditConstants.AUDIT_SECCOMP),
        ("KERN_MODULE", AuditConstants.AUDIT_KERN_MODULE),
        ("OPENAT2", AuditConstants.AUDIT_OPENAT2),
        ("AVC", AuditConstants.AUDIT_AVC),
        ("ANOM_ABEND", AuditConstants.AUDIT_ANOM_ABEND),
        ("DAEMON_START", AuditConstants.AUDIT_DAEMON_START),
        ("DAEMON_END", AuditConstants.AUDIT_DAEMON_END),
        ("SERVICE_START", 1130),
        ("SERVICE_STOP", 1131),
        ("USER_START", 1105),
        ("USER_END", 1106),
        ("USER_ACCT", 1101),
        ("USER_AUTH", 1100),
        ("USER_CMD", 1123),
        ("USER_LOGIN", 1112),
        ("CRED_ACQ", 1103),
        ("CRED_DISP", 1104),
        ("CRED_REFR", 1110),
    ];

    /// <summary>Parses a line without its line end. What auditd added for readers behind the kernel's text is cut off.</summary>
    /// <returns>InvalidData when it is no record, or of a type whose name is not known here (<c>UNKNOWN[1234]</c> is).</returns>
    public static OperationStatus TryParse(ReadOnlySpan<byte> line, out AuditRecord record)
    {
        record = default;
        if (line.StartsWith("node="u8))
        {
            int blank = line.IndexOf((byte)' ');
            line = blank < 0 ? default : line[(blank + 1)..];
        }

        if (!line.StartsWith("type="u8))
        {
            return OperationStatus.InvalidData;
        }

        line = line["type="u8.Length..];
        int end = line.IndexOf((byte)' ');
        if (end < 0 || !TryParseType(line[..end], out ushort type))
        {
            return OperationStatus.InvalidData;
        }

        line = line[(end + 1)..];
        if (!line.StartsWith("msg="u8))
        {
            return OperationStatus.InvalidData;
        }

        line = line["msg="u8.Length..];
        int enrichment = line.IndexOf(EnrichmentSeparator);
        return AuditRecord.TryParse(type, enrichment < 0 ? line : line[..enrichment], out record);
    }

    /// <summary>Number of a type as auditd spells it.</summary>
    public static bool TryParseType(ReadOnlySpan<byte> name, out ushort type)
    {
        // Nine of ten records of a busy host are of these types.
        type = name.Length switch
        {
            3 when name.SequenceEqual("EOE"u8) => AuditRecordType.EndOfEvent,
            3 when name.SequenceEqual("CWD"u8) => AuditRecordType.WorkingDirectory,
            4 when name.SequenceEqual("PATH"u8) => AuditRecordType.Path,
            6 when name.SequenceEqual("EXECVE"u8) => AuditRecordType.Execve,
            7 when name.SequenceEqual("SYSCALL"u8) => AuditRecordType.Syscall,
            8 when name.SequenceEqual("SOCKADDR"u8) => AuditRecordType.SocketAddress,
            9 when name.SequenceEqual("PROCTITLE"u8) => AuditRecordType.ProcessTitle,
            10 when name.SequenceEqual("BPRM_FCAPS"u8) => AuditRecordType.ExecCapabilities,
            _ => 0,
        };

        return type != 0 || TryParseRareType(name, out type);
    }

    private static bool TryParseRareType(ReadOnlySpan<byte> name, out ushort type)
    {
        foreach ((string known, ushort number) in Others)
        {
            if (System.Text.Ascii.Equals(name, known))
            {
                type = number;
                return true;
            }
        }

        type = 0;
        if (name.StartsWith("UNKNOWN["u8)
            && name[^1] == (byte)']'
            && AuditValue.TryParse(name["UNKNOWN["u8.Length..^1], out uint parsed)
            && parsed is > 0 and <= ushort.MaxValue)
        {
            type = (ushort)parsed;
            return true;
        }

        return false;
    }
}
