namespace ImageSentinel.Kernel.Numbers;

/// <summary>Numbers of <c>linux/audit.h</c>, spelled as there. A test compares them with a C compiler.</summary>
public static class AuditConstants
{
    // Message types: control, user space, kernel records.
    public const ushort AUDIT_GET = 1000;
    public const ushort AUDIT_SET = 1001;
    public const ushort AUDIT_USER = 1005;
    public const ushort AUDIT_LOGIN = 1006;
    public const ushort AUDIT_ADD_RULE = 1011;
    public const ushort AUDIT_DEL_RULE = 1012;
    public const ushort AUDIT_LIST_RULES = 1013;
    public const ushort AUDIT_TRIM = 1014;
    public const ushort AUDIT_MAKE_EQUIV = 1015;
    public const ushort AUDIT_SET_FEATURE = 1018;
    public const ushort AUDIT_GET_FEATURE = 1019;
    public const ushort AUDIT_FIRST_USER_MSG = 1100;
    public const ushort AUDIT_LAST_USER_MSG = 1199;
    public const ushort AUDIT_DAEMON_START = 1200;
    public const ushort AUDIT_DAEMON_END = 1201;
    public const ushort AUDIT_DAEMON_ABORT = 1202;
    public const ushort AUDIT_DAEMON_CONFIG = 1203;
    public const ushort AUDIT_FIRST_USER_MSG2 = 2100;
    public const ushort AUDIT_LAST_USER_MSG2 = 2999;
    public const ushort AUDIT_SYSCALL = 1300;
    public const ushort AUDIT_PATH = 1302;
    public const ushort AUDIT_IPC = 1303;
    public const ushort AUDIT_SOCKETCALL = 1304;
    public const ushort AUDIT_CONFIG_CHANGE = 1305;
    public const ushort AUDIT_SOCKADDR = 1306;
    public const ushort AUDIT_CWD = 1307;
    public const ushort AUDIT_EXECVE = 1309;
    public const ushort AUDIT_IPC_SET_PERM = 1311;
    public const ushort AUDIT_MQ_OPEN = 1312;
    public const ushort AUDIT_MQ_SENDRECV = 1313;
    public const ushort AUDIT_MQ_NOTIFY = 1314;
    public const ushort AUDIT_MQ_GETSETATTR = 1315;
    public const ushort AUDIT_KERNEL_OTHER = 1316;
    public const ushort AUDIT_FD_PAIR = 1317;
    public const ushort AUDIT_OBJ_PID = 1318;
    public const ushort AUDIT_TTY = 1319;
    public const ushort AUDIT_EOE = 1320;
    public const ushort AUDIT_BPRM_FCAPS = 1321;
    public const ushort AUDIT_CAPSET = 1322;
    public const ushort AUDIT_MMAP = 1323;
    public const ushort AUDIT_NETFILTER_PKT = 1324;
    public const ushort AUDIT_NETFILTER_CFG = 1325;
    public const ushort AUDIT_SECCOMP = 1326;
    public const ushort AUDIT_PROCTITLE = 1327;
    public const ushort AUDIT_FEATURE_CHANGE = 1328;
    public const ushort AUDIT_REPLACE = 1329;
    public const ushort AUDIT_KERN_MODULE = 1330;
    public const ushort AUDIT_FANOTIFY = 1331;
    public const ushort AUDIT_TIME_INJOFFSET = 1332;
    public const ushort AUDIT_TIME_ADJNTPVAL = 1333;
    public const ushort AUDIT_BPF = 1334;
    public const ushort AUDIT_EVENT_LISTENER = 1335;
    public const ushort AUDIT_URINGOP = 1336;
    public const ushort AUDIT_OPENAT2 = 1337;
    public const ushort AUDIT_DM_CTRL = 1338;
    public const ushort AUDIT_DM_EVENT = 1339;
    public const ushort AUDIT_AVC = 1400;
    public const ushort AUDIT_SELINUX_ERR = 1401;
    public const ushort AUDIT_AVC_PATH = 1402;
    public const ushort AUDIT_MAC_POLICY_LOAD = 1403;
    public const ushort AUDIT_MAC_STATUS = 1404;
    public const ushort AUDIT_MAC_CONFIG_CHANGE = 1405;
    public const ushort AUDIT_ANOM_PROMISCUOUS = 1700;
    public const ushort AUDIT_ANOM_ABEND = 1701;
    public const ushort AUDIT_ANOM_LINK = 1702;
    public const ushort AUDIT_ANOM_CREAT = 1703;
    public const ushort AUDIT_INTEGRITY_DATA = 1800;
    public const ushort AUDIT_INTEGRITY_RULE = 1805;
    public const ushort AUDIT_KERNEL = 2000;

    // Multicast group of the records: bit 0 of sockaddr_nl.nl_groups.
    public const uint AUDIT_NLGRP_READLOG = 1;

    // Rule lists and actions.
    public const uint AUDIT_FILTER_USER = 0x00;
    public const uint AUDIT_FILTER_TASK = 0x01;
    public const uint AUDIT_FILTER_EXIT = 0x04;
    public const uint AUDIT_FILTER_EXCLUDE = 0x05;
    public const uint AUDIT_FILTER_FS = 0x06;
    public const uint AUDIT_FILTER_URING_EXIT = 0x07;
    public const uint AUDIT_FILTER_PREPEND = 0x10;
    public const uint AUDIT_NEVER = 0;
    public const uint AUDIT_POSSIBLE = 1;
    public const uint AUDIT_ALWAYS = 2;
    public const uint AUDIT_MAX_FIELDS = 64;
    public const uint AUDIT_MAX_KEY_LEN = 256;
    public const uint AUDIT_BITMASK_SIZE = 64;

    // Rule fields.
    public const uint AUDIT_PID = 0;
    public const uint AUDIT_UID = 1;
    public const uint AUDIT_EUID = 2;
    public const uint AUDIT_SUID = 3;
    public const uint AUDIT_FSUID = 4;
    public const uint AUDIT_GID = 5;
    public const uint AUDIT_EGID = 6;
    public const uint AUDIT_SGID = 7;
    public const uint AUDIT_FSGID = 8;
    public const uint AUDIT_LOGINUID = 9;
    public const uint AUDIT_PERS = 10;
    public const uint AUDIT_ARCH = 11;
    public const uint AUDIT_MSGTYPE = 12;
    public const uint AUDIT_SUBJ_USER = 13;
    public const uint AUDIT_SUBJ_ROLE = 14;
    public const uint AUDIT_SUBJ_TYPE = 15;
    public const uint AUDIT_SUBJ_SEN = 16;
    public const uint AUDIT_SUBJ_CLR = 17;
    public const uint AUDIT_PPID = 18;
    public const uint AUDIT_OBJ_USER = 19;
    public const uint AUDIT_OBJ_ROLE = 20;
    public const uint AUDIT_OBJ_TYPE = 21;
    public const uint AUDIT_OBJ_LEV_LOW = 22;
    public const uint AUDIT_OBJ_LEV_HIGH = 23;
    public const uint AUDIT_LOGINUID_SET = 24;
    public const uint AUDIT_SESSIONID = 25;
    public const uint AUDIT_FSTYPE = 26;
    public const uint AUDIT_DEVMAJOR = 100;
    public const uint AUDIT_DEVMINOR = 101;
    public const uint AUDIT_INODE = 102;
    public const uint AUDIT_EXIT = 103;
    public const uint AUDIT_SUCCESS = 104;
    public const uint AUDIT_WATCH = 105;
    public const uint AUDIT_PERM = 106;
    public const uint AUDIT_DIR = 107;
    public const uint AUDIT_FILETYPE = 108;
    public const uint AUDIT_OBJ_UID = 109;
    public const uint AUDIT_OBJ_GID = 110;
    public const uint AUDIT_FIELD_COMPARE = 111;
    public const uint AUDIT_EXE = 112;
    public const uint AUDIT_SADDR_FAM = 113;
    public const uint AUDIT_ARG0 = 200;
    public const uint AUDIT_ARG1 = AUDIT_ARG0 + 1;
    public const uint AUDIT_ARG2 = AUDIT_ARG0 + 2;
    public const uint AUDIT_ARG3 = AUDIT_ARG0 + 3;
    public const uint AUDIT_FILTERKEY = 210;

    // Operators of a rule field.
    public const uint AUDIT_BIT_MASK = 0x08000000;
    public const uint AUDIT_LESS_THAN = 0x10000000;
    public const uint AUDIT_GREATER_THAN = 0x20000000;
    public const uint AUDIT_NOT_EQUAL = 0x30000000;
    public const uint AUDIT_EQUAL = 0x40000000;
    public const uint AUDIT_BIT_TEST = AUDIT_BIT_MASK | AUDIT_EQUAL;
    public const uint AUDIT_LESS_THAN_OR_EQUAL = AUDIT_LESS_THAN | AUDIT_EQUAL;
    public const uint AUDIT_GREATER_THAN_OR_EQUAL = AUDIT_GREATER_THAN | AUDIT_EQUAL;

    // Permissions of AUDIT_PERM.
    public const uint AUDIT_PERM_EXEC = 1;
    public const uint AUDIT_PERM_WRITE = 2;
    public const uint AUDIT_PERM_READ = 4;
    public const uint AUDIT_PERM_ATTR = 8;

    // audit_status: what a SET changes, the failure modes, the features.
    public const uint AUDIT_STATUS_ENABLED = 0x0001;
    public const uint AUDIT_STATUS_FAILURE = 0x0002;
    public const uint AUDIT_STATUS_PID = 0x0004;
    public const uint AUDIT_STATUS_RATE_LIMIT = 0x0008;
    public const uint AUDIT_STATUS_BACKLOG_LIMIT = 0x0010;
    public const uint AUDIT_STATUS_BACKLOG_WAIT_TIME = 0x0020;
    public const uint AUDIT_STATUS_LOST = 0x0040;
    public const uint AUDIT_STATUS_BACKLOG_WAIT_TIME_ACTUAL = 0x0080;
    public const uint AUDIT_FAIL_SILENT = 0;
    public const uint AUDIT_FAIL_PRINTK = 1;
    public const uint AUDIT_FAIL_PANIC = 2;
    public const uint AUDIT_FEATURE_BITMAP_BACKLOG_LIMIT = 0x00000001;
    public const uint AUDIT_FEATURE_BITMAP_BACKLOG_WAIT_TIME = 0x00000002;
    public const uint AUDIT_FEATURE_BITMAP_EXECUTABLE_PATH = 0x00000004;
    public const uint AUDIT_FEATURE_BITMAP_EXCLUDE_EXTEND = 0x00000008;
    public const uint AUDIT_FEATURE_BITMAP_SESSIONID_FILTER = 0x00000010;
    public const uint AUDIT_FEATURE_BITMAP_LOST_RESET = 0x00000020;
    public const uint AUDIT_FEATURE_BITMAP_FILTER_FS = 0x00000040;

    // Architectures: ELF machine, 64-bit flag, little-endian flag.
    public const uint AUDIT_ARCH_X86_64 = 0xC000003E;
    public const uint AUDIT_ARCH_I386 = 0x40000003;
    public const uint AUDIT_ARCH_AARCH64 = 0xC00000B7;
    public const uint AUDIT_ARCH_ARM = 0x40000028;
}
