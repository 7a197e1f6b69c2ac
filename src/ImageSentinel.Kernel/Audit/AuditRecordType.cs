using ImageSentinel.Kernel.Numbers;

namespace ImageSentinel.Kernel.Audit;

/// <summary>The record types that ImageSentinel reads, under readable names, and what their number says.</summary>
public static class AuditRecordType
{
    public const ushort Login = AuditConstants.AUDIT_LOGIN;
    public const ushort Syscall = AuditConstants.AUDIT_SYSCALL;
    public const ushort Path = AuditConstants.AUDIT_PATH;
    public const ushort SocketCall = AuditConstants.AUDIT_SOCKETCALL;
    public const ushort ConfigChange = AuditConstants.AUDIT_CONFIG_CHANGE;
    public const ushort SocketAddress = AuditConstants.AUDIT_SOCKADDR;
    public const ushort WorkingDirectory = AuditConstants.AUDIT_CWD;
    public const ushort Execve = AuditConstants.AUDIT_EXECVE;
    public const ushort EndOfEvent = AuditConstants.AUDIT_EOE;
    public const ushort ExecCapabilities = AuditConstants.AUDIT_BPRM_FCAPS;
    public const ushort NetfilterConfig = AuditConstants.AUDIT_NETFILTER_CFG;
    public const ushort ProcessTitle = AuditConstants.AUDIT_PROCTITLE;
    public const ushort Bpf = AuditConstants.AUDIT_BPF;
    public const ushort EventListener = AuditConstants.AUDIT_EVENT_LISTENER;
    public const ushort UringOperation = AuditConstants.AUDIT_URINGOP;
    public const ushort Promiscuous = AuditConstants.AUDIT_ANOM_PROMISCUOUS;
    public const ushort Kernel = AuditConstants.AUDIT_KERNEL;

    // linux/audit.h reserves 1200 - 1299 for the daemon's own messages and names only some of them.
    private const ushort LastDaemonMessage = 1299;

    /// <summary>
    /// True for a record that is always a whole event, without an end record: what programs and the audit daemon send
    /// in, and the kernel's own start-up note.
    /// </summary>
    /// <remarks>
    /// The kernel's other types may stand alone too (CONFIG_CHANGE, SECCOMP, ANOM_PROMISCUOUS), but often do not: only
    /// the passing of time tells. LOGIN lies below the range and comes with a SYSCALL on current kernels.
    /// </remarks>
    public static bool IsWholeEvent(ushort type)
        => type is (>= AuditConstants.AUDIT_FIRST_USER_MSG and <= LastDaemonMessage)
            or AuditConstants.AUDIT_USER
            or AuditConstants.AUDIT_KERNEL
            or (>= AuditConstants.AUDIT_FIRST_USER_MSG2 and <= AuditConstants.AUDIT_LAST_USER_MSG2);

    /// <summary>True for a type that occurs at most once in an event, so that a second one is a repetition.</summary>
    internal static bool IsOncePerEvent(ushort type)
        => type is Syscall or SocketAddress or WorkingDirectory or EndOfEvent or ProcessTitle or ExecCapabilities;
}
