namespace ImageSentinel.Kernel.Numbers;

/// <summary>Numbers of <c>linux/fanotify.h</c>, spelled as there. A test compares them with a C compiler.</summary>
public static class FanotifyConstants
{
    public const ulong FAN_ACCESS = 0x00000001;
    public const ulong FAN_MODIFY = 0x00000002;
    public const ulong FAN_ATTRIB = 0x00000004;
    public const ulong FAN_CLOSE_WRITE = 0x00000008;
    public const ulong FAN_CLOSE_NOWRITE = 0x00000010;
    public const ulong FAN_OPEN = 0x00000020;
    public const ulong FAN_MOVED_FROM = 0x00000040;
    public const ulong FAN_MOVED_TO = 0x00000080;
    public const ulong FAN_CREATE = 0x00000100;
    public const ulong FAN_DELETE = 0x00000200;
    public const ulong FAN_DELETE_SELF = 0x00000400;
    public const ulong FAN_MOVE_SELF = 0x00000800;
    public const ulong FAN_OPEN_EXEC = 0x00001000;
    public const ulong FAN_Q_OVERFLOW = 0x00004000;
    public const ulong FAN_FS_ERROR = 0x00008000;
    public const ulong FAN_OPEN_PERM = 0x00010000;
    public const ulong FAN_ACCESS_PERM = 0x00020000;
    public const ulong FAN_OPEN_EXEC_PERM = 0x00040000;
    public const ulong FAN_PRE_ACCESS = 0x00100000;
    public const ulong FAN_MNT_ATTACH = 0x01000000;
    public const ulong FAN_MNT_DETACH = 0x02000000;
    public const ulong FAN_EVENT_ON_CHILD = 0x08000000;
    public const ulong FAN_RENAME = 0x10000000;
    public const ulong FAN_ONDIR = 0x40000000;

    public const uint FAN_CLOEXEC = 0x00000001;
    public const uint FAN_NONBLOCK = 0x00000002;
    public const uint FAN_CLASS_NOTIF = 0x00000000;
    public const uint FAN_CLASS_CONTENT = 0x00000004;
    public const uint FAN_CLASS_PRE_CONTENT = 0x00000008;
    public const uint FAN_UNLIMITED_QUEUE = 0x00000010;
    public const uint FAN_UNLIMITED_MARKS = 0x00000020;
    public const uint FAN_ENABLE_AUDIT = 0x00000040;
    public const uint FAN_REPORT_PIDFD = 0x00000080;
    public const uint FAN_REPORT_TID = 0x00000100;
    public const uint FAN_REPORT_FID = 0x00000200;
    public const uint FAN_REPORT_DIR_FID = 0x00000400;
    public const uint FAN_REPORT_NAME = 0x00000800;
    public const uint FAN_REPORT_TARGET_FID = 0x00001000;
    public const uint FAN_REPORT_FD_ERROR = 0x00002000;
    public const uint FAN_REPORT_MNT = 0x00004000;

    public const uint FAN_MARK_ADD = 0x00000001;
    public const uint FAN_MARK_REMOVE = 0x00000002;
    public const uint FAN_MARK_DONT_FOLLOW = 0x00000004;
    public const uint FAN_MARK_ONLYDIR = 0x00000008;
    public const uint FAN_MARK_MOUNT = 0x00000010;
    public const uint FAN_MARK_FLUSH = 0x00000080;
    public const uint FAN_MARK_FILESYSTEM = 0x00000100;
    public const uint FAN_MARK_MNTNS = 0x00000110;
    public const uint FAN_MARK_EVICTABLE = 0x00000200;
    public const uint FAN_MARK_IGNORE = 0x00000400;

    public const byte FANOTIFY_METADATA_VERSION = 3;

    public const byte FAN_EVENT_INFO_TYPE_FID = 1;
    public const byte FAN_EVENT_INFO_TYPE_DFID_NAME = 2;
    public const byte FAN_EVENT_INFO_TYPE_DFID = 3;
    public const byte FAN_EVENT_INFO_TYPE_PIDFD = 4;
    public const byte FAN_EVENT_INFO_TYPE_ERROR = 5;
    public const byte FAN_EVENT_INFO_TYPE_RANGE = 6;
    public const byte FAN_EVENT_INFO_TYPE_MNT = 7;
    public const byte FAN_EVENT_INFO_TYPE_OLD_DFID_NAME = 10;
    public const byte FAN_EVENT_INFO_TYPE_NEW_DFID_NAME = 12;

    public const uint FAN_ALLOW = 0x01;
    public const uint FAN_DENY = 0x02;

    public const int FAN_NOFD = -1;
    public const int FAN_NOPIDFD = -1;
    public const int FAN_EPIDFD = -2;
}
