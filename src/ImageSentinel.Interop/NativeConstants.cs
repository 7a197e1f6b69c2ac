namespace ImageSentinel.Interop;

/// <summary>Numbers from the kernel's user-space headers that Tmds.LibC does not carry, spelled as in C.</summary>
/// <remarks>Each one is proven against the headers by the layout tests.</remarks>
internal static class NativeConstants
{
    // linux/netlink.h, bits/socket.h
    public const int AF_NETLINK = 16;
    public const int SOL_SOCKET = 1;
    public const int SO_RCVBUF = 8;
    public const int SO_PEERCRED = 17;
    public const int SO_RCVBUFFORCE = 33;
    public const int SOCK_RAW = 3;
    public const int SOCK_CLOEXEC = 0x80000;
    public const int SOCK_NONBLOCK = 0x800;
    public const int MSG_DONTWAIT = 0x40;
    public const int MSG_TRUNC = 0x20;

    // linux/if_packet.h, linux/if_ether.h, asm-generic/socket.h
    public const int AF_PACKET = 17;
    public const int SOCK_DGRAM = 2;
    public const int SOL_PACKET = 263;
    public const int PACKET_STATISTICS = 6;
    public const int SO_ATTACH_FILTER = 26;
    public const ushort ETH_P_ALL = 3;

    // poll.h
    public const short POLLIN = 1;

    // fcntl.h, linux/openat2.h
    public const int AT_FDCWD = -100;
    public const int O_RDONLY = 0;
    public const int O_RDWR = 2;
    public const int O_CREAT = 0x40;
    public const int O_NOCTTY = 0x100;
    public const int O_NONBLOCK = 0x800;
    public const int O_CLOEXEC = 0x80000;
    public const int O_PATH = 0x200000;
    public const ulong RESOLVE_NO_MAGICLINKS = 0x02;
    public const ulong RESOLVE_NO_SYMLINKS = 0x04;
    public const ulong RESOLVE_BENEATH = 0x08;

    // sys/stat.h
    public const uint S_IFMT = 0xF000;
    public const uint S_IFREG = 0x8000;
    public const uint S_PERMISSIONS = 0xFFF;

    // linux/fanotify.h
    public const uint FAN_CLOEXEC = 0x1;
    public const uint FAN_NONBLOCK = 0x2;

    // asm-generic/unistd.h: one table for every call added since 2019, and pidfd_open and friends among them
    public const int SYS_pidfd_open = 434;
    public const int SYS_openat2 = 437;
    public const int SYS_pidfd_getfd = 438;

    // time.h
    public const int CLOCK_REALTIME = 0;
    public const int CLOCK_MONOTONIC = 1;
    public const int CLOCK_PROCESS_CPUTIME_ID = 2;
    public const int CLOCK_THREAD_CPUTIME_ID = 3;
    public const int CLOCK_BOOTTIME = 7;

    // sys/file.h
    public const int LOCK_EX = 2;
    public const int LOCK_NB = 4;

    // linux/prctl.h
    public const int PR_SET_PDEATHSIG = 1;
    public const int PR_SET_DUMPABLE = 4;
    public const int PR_SET_NO_NEW_PRIVS = 38;

    // sys/wait.h
    public const int WNOHANG = 1;
    public const int SIGKILL = 9;
}
