using System.Runtime.InteropServices;
using Tmds.Linux;
using static ImageSentinel.Interop.NativeConstants;

namespace ImageSentinel.Interop;

/// <summary>The netlink families this project opens; values from linux/netlink.h.</summary>
public enum NetlinkFamily
{
    Audit = 9,
    Connector = 11,
    Netfilter = 12,
}

/// <summary>Owns one bound netlink socket. Non-blocking; closing it makes the kernel forget its subscriptions.</summary>
/// <remarks>
/// Any process may send to a netlink port, so every receive reports who sent; only port 0 is the kernel.
/// Not thread-safe for receiving; sending from another thread is.
/// </remarks>
public sealed unsafe class NetlinkSocket : Descriptor
{
    private NetlinkSocket(int descriptor)
        : base(descriptor)
    {
    }

    /// <summary>Our address on the netlink bus, as other sockets see it.</summary>
    public uint PortId { get; private set; }

    /// <summary>Opens and binds a socket that receives what is sent to it and to <paramref name="groups"/>.</summary>
    /// <param name="family">Which subsystem of the kernel.</param>
    /// <param name="groups">Multicast groups 1 to 32 as bits, group 1 in bit 0.</param>
    /// <exception cref="LinuxException">EPERM without the capability the family's groups ask for; EPROTONOSUPPORT when
    /// this kernel is built without the family.</exception>
    public static NetlinkSocket Open(NetlinkFamily family, uint groups = 0)
    {
        int descriptor = Check(LibC.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, (int)family), "socket(AF_NETLINK)");
        var socket = new NetlinkSocket(descriptor);
        try
        {
            sockaddr_nl address = new() { nl_family = AF_NETLINK, nl_groups = groups };
            Check(NativeMethods.Bind(descriptor, &address, (uint)sizeof(sockaddr_nl)), "bind(AF_NETLINK)");
            uint length = (uint)sizeof(sockaddr_nl);
            Check(NativeMethods.GetSockName(descriptor, &address, &length), "getsockname");
            socket.PortId = address.nl_pid;
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Asks for a receive buffer of this many bytes (the kernel doubles it for its own bookkeeping).</summary>
    /// <returns>The bytes the kernel granted, by its own doubled count. Less than asked for when CAP_NET_ADMIN is
    /// missing and net.core.rmem_max is small.</returns>
    public int SetReceiveBuffer(int bytes)
    {
        if (LibC.setsockopt(Number, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(int)) != 0)
        {
            Check(LibC.setsockopt(Number, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(int)), "setsockopt(SO_RCVBUF)");
        }

        int granted;
        socklen_t length = sizeof(int);
        Check(LibC.getsockopt(Number, SOL_SOCKET, SO_RCVBUF, &granted, &length), "getsockopt(SO_RCVBUF)");
        return granted;
    }

    /// <summary>Sends one datagram to the kernel.</summary>
    public void Send(ReadOnlySpan<byte> datagram) => Send(datagram, port: 0);

    /// <summary>Sends one datagram to a port; 0 is the kernel. Others are for tests that play the impostor.</summary>
    internal void Send(ReadOnlySpan<byte> datagram, uint port)
    {
        sockaddr_nl target = new() { nl_family = AF_NETLINK, nl_pid = port };
        fixed (byte* bytes = datagram)
        {
            while (NativeMethods.SendTo(Number, bytes, (nuint)datagram.Length, 0, &target, (uint)sizeof(sockaddr_nl)) < 0)
            {
                int errno = Marshal.GetLastPInvokeError();
                if (errno != Errno.EINTR)
                {
                    throw new LinuxException("sendto(AF_NETLINK)", errno);
                }
            }
        }
    }

    /// <summary>Takes one datagram if one is there.</summary>
    /// <param name="buffer">Receives the datagram; a longer one is cut.</param>
    /// <param name="sender">The port it came from; 0 is the kernel.</param>
    /// <returns>The datagram's length, or 0 when none is waiting.</returns>
    /// <exception cref="LinuxException">ENOBUFS when datagrams were lost; reading may go on.</exception>
    public int Receive(Span<byte> buffer, out uint sender)
    {
        sockaddr_nl source = default;
        fixed (byte* bytes = buffer)
        {
            while (true)
            {
                uint length = (uint)sizeof(sockaddr_nl);
                nint count = NativeMethods.RecvFrom(Number, bytes, (nuint)buffer.Length, MSG_DONTWAIT, &source, &length);
                if (count >= 0)
                {
                    sender = source.nl_pid;
                    return (int)count;
                }

                int errno = Marshal.GetLastPInvokeError();
                if (errno == Errno.EAGAIN)
                {
                    sender = 0;
                    return 0;
                }

                if (errno != Errno.EINTR)
                {
                    throw new LinuxException("recvfrom(AF_NETLINK)", errno);
                }
            }
        }
    }

    /// <summary>Sleeps until a datagram is there. False when <paramref name="timeout"/> ends first.</summary>
    public bool WaitReadable(TimeSpan timeout)
    {
        pollfd_native set = new() { fd = Number, events = POLLIN };
        timespec_native limit = timespec_native.From(timeout);
        while (true)
        {
            int ready = NativeMethods.PPoll(&set, 1, &limit, null);
            if (ready >= 0)
            {
                return ready > 0;
            }

            int errno = Marshal.GetLastPInvokeError();
            if (errno != Errno.EINTR)
            {
                throw new LinuxException("ppoll", errno);
            }
        }
    }

    /// <summary>Sleeps until a datagram is there, a wake-up or the end of <paramref name="timeout"/> (negative: for ever).</summary>
    public PollResult Wait(Wakeup wakeup, TimeSpan timeout)
    {
        ArgumentNullException.ThrowIfNull(wakeup);
        return Poller.Wait(wakeup, this, timeout);
    }
}
