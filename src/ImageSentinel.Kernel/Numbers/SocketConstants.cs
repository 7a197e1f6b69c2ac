namespace ImageSentinel.Kernel.Numbers;

/// <summary>Address families and protocols of <c>sys/socket.h</c> and <c>netinet/in.h</c>, spelled as there.</summary>
public static class SocketConstants
{
    public const ushort AF_UNSPEC = 0;
    public const ushort AF_UNIX = 1;
    public const ushort AF_INET = 2;
    public const ushort AF_INET6 = 10;
    public const ushort AF_NETLINK = 16;
    public const ushort AF_PACKET = 17;
    public const ushort AF_VSOCK = 40;

    public const byte IPPROTO_ICMP = 1;
    public const byte IPPROTO_TCP = 6;
    public const byte IPPROTO_UDP = 17;
    public const byte IPPROTO_ICMPV6 = 58;
}
