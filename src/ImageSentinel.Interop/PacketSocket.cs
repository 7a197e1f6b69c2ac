using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Tmds.Linux;
using static ImageSentinel.Interop.NativeConstants;

namespace ImageSentinel.Interop;

/// <summary>Owns a cooked packet socket on every interface of its network namespace. It only looks: nothing is held
/// back, changed or sent, and no interface becomes promiscuous.</summary>
/// <remarks>packet(7). Needs CAP_NET_RAW in the namespace. One thread reads; the filter may be changed from another.</remarks>
public sealed unsafe class PacketSocket : Descriptor
{
    private PacketSocket(int descriptor)
        : base(descriptor)
    {
    }

    /// <param name="filter">Instructions in the kernel's layout (struct sock_filter), eight bytes each.</param>
    /// <exception cref="LinuxException">EPERM without CAP_NET_RAW; EAFNOSUPPORT when the kernel has no packet sockets.</exception>
    public static PacketSocket Open(ReadOnlySpan<byte> filter)
    {
        // Protocol 0: nothing is received until the filter is in place and the socket is bound.
        int descriptor = Check(LibC.socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket(AF_PACKET)");
        var socket = new PacketSocket(descriptor);
        try
        {
            socket.SetFilter(filter);
            sockaddr_ll address = new() { sll_family = AF_PACKET, sll_protocol = BinaryPrimitives.ReverseEndianness(ETH_P_ALL) };
            Check(NativeMethods.BindPacket(descriptor, &address, (uint)sizeof(sockaddr_ll)), "bind(AF_PACKET)");
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Puts another filter in the place of the present one; no packet passes between them unseen or unfiltered.</summary>
    public void SetFilter(ReadOnlySpan<byte> filter)
    {
        fixed (byte* code = filter)
        {
            sock_fprog program = new() { len = (ushort)(filter.Length / 8), filter = code };
            Check(LibC.setsockopt(Number, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(sock_fprog)), "setsockopt(SO_ATTACH_FILTER)");
        }
    }

    /// <summary>Asks for a receive buffer of this many bytes.</summary>
    public void SetReceiveBuffer(int bytes)
    {
        if (LibC.setsockopt(Number, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(int)) != 0)
        {
            Check(LibC.setsockopt(Number, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(int)), "setsockopt(SO_RCVBUF)");
        }
    }

    /// <summary>Packets that passed the filter and found no room, since the last call.</summary>
    public long TakeDrops()
    {
        tpacket_stats stats;
        socklen_t length = (socklen_t)sizeof(tpacket_stats);
        Check(LibC.getsockopt(Number, SOL_PACKET, PACKET_STATISTICS, &stats, &length), "getsockopt(PACKET_STATISTICS)");
        return stats.tp_drops;
    }

    /// <summary>Sleeps until a packet is there, a wake-up or the end of <paramref name="timeout"/> (negative: for ever).</summary>
    public PollResult Wait(Wakeup wakeup, TimeSpan timeout)
    {
        ArgumentNullException.ThrowIfNull(wakeup);
        return Poller.Wait(wakeup, this, timeout);
    }
}
