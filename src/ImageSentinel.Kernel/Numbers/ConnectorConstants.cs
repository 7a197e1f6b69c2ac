namespace ImageSentinel.Kernel.Numbers;

/// <summary>Numbers of <c>linux/connector.h</c> and <c>linux/cn_proc.h</c>, spelled as there.</summary>
public static class ConnectorConstants
{
    public const uint CN_IDX_PROC = 1;
    public const uint CN_VAL_PROC = 1;

    public const uint PROC_CN_MCAST_LISTEN = 1;
    public const uint PROC_CN_MCAST_IGNORE = 2;

    public const uint PROC_EVENT_NONE = 0x00000000;
    public const uint PROC_EVENT_FORK = 0x00000001;
    public const uint PROC_EVENT_EXEC = 0x00000002;
    public const uint PROC_EVENT_UID = 0x00000004;
    public const uint PROC_EVENT_GID = 0x00000040;
    public const uint PROC_EVENT_SID = 0x00000080;
    public const uint PROC_EVENT_PTRACE = 0x00000100;
    public const uint PROC_EVENT_COMM = 0x00000200;
    public const uint PROC_EVENT_COREDUMP = 0x40000000;
    public const uint PROC_EVENT_EXIT = 0x80000000;
}
