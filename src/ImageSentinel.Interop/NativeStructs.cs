using System.Runtime.InteropServices;

namespace ImageSentinel.Interop;

/// <summary><c>struct sockaddr_nl</c>: where a netlink datagram came from. The kernel writes it, so
/// <see cref="nl_pid"/> here can be trusted; the one inside the message header is the sender's word.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct sockaddr_nl
{
    public ushort nl_family;
    public ushort nl_pad;
    public uint nl_pid;
    public uint nl_groups;
}

/// <summary><c>struct sockaddr_ll</c>: on which interface and in which direction a packet was seen.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct sockaddr_ll
{
    public ushort sll_family;

    /// <summary>Network order.</summary>
    public ushort sll_protocol;
    public int sll_ifindex;
    public ushort sll_hatype;
    public byte sll_pkttype;
    public byte sll_halen;
    public fixed byte sll_addr[8];
}

/// <summary><c>struct sock_fprog</c>: a classic filter program.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct sock_fprog
{
    public ushort len;
    public void* filter;
}

[StructLayout(LayoutKind.Sequential)]
internal struct tpacket_stats
{
    public uint tp_packets;
    public uint tp_drops;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct iovec_native
{
    public void* iov_base;
    public nuint iov_len;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct msghdr_native
{
    public void* msg_name;
    public uint msg_namelen;
    public iovec_native* msg_iov;
    public nuint msg_iovlen;
    public void* msg_control;
    public nuint msg_controllen;
    public int msg_flags;
}

[StructLayout(LayoutKind.Sequential)]
internal struct mmsghdr_native
{
    public msghdr_native msg_hdr;
    public uint msg_len;
}

[StructLayout(LayoutKind.Sequential)]
internal struct pollfd_native
{
    public int fd;
    public short events;
    public short revents;
}

[StructLayout(LayoutKind.Sequential)]
internal struct timespec_native
{
    public long tv_sec;
    public long tv_nsec;

    public readonly long Nanoseconds => (tv_sec * 1_000_000_000) + tv_nsec;

    public static timespec_native From(TimeSpan span)
        => new() { tv_sec = span.Ticks / TimeSpan.TicksPerSecond, tv_nsec = span.Ticks % TimeSpan.TicksPerSecond * 100 };
}

[StructLayout(LayoutKind.Sequential)]
internal struct ucred_native
{
    public int pid;
    public uint uid;
    public uint gid;
}

/// <summary><c>struct open_how</c> of openat2(2).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct open_how
{
    public ulong flags;
    public ulong mode;
    public ulong resolve;
}

/// <summary><c>struct file_handle</c> with room for the largest handle the kernel makes (MAX_HANDLE_SZ, 128).</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct file_handle_max
{
    public const int MaxHandleSize = 128;

    public uint handle_bytes;
    public int handle_type;
    public fixed byte f_handle[MaxHandleSize];
}

/// <summary><c>struct statfs</c> of 64-bit Linux, up to the field we read; the rest is room.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct statfs_native
{
    public long f_type;
    public long f_bsize;
    public ulong f_blocks;
    public ulong f_bfree;
    public ulong f_bavail;
    public ulong f_files;
    public ulong f_ffree;
    public ulong f_fsid;
    public fixed long rest[7];
}
