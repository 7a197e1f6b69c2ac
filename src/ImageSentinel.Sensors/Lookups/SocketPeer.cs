using System.Net.Sockets;
using ImageSentinel.Interop;

namespace ImageSentinel.Sensors.Lookups;

/// <summary>Who listens on a Unix socket.</summary>
internal static class SocketPeer
{
    /// <exception cref="LinuxException">Nothing there, or nobody listens.</exception>
    public static PeerCredentials Of(string path)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException e)
        {
            // NativeErrorCode is the errno; a missing file and a dead listener are told apart by it.
            throw new LinuxException("connect", e.NativeErrorCode, e.SocketErrorCode switch
            {
                SocketError.AddressNotAvailable => "there is no such socket",
                SocketError.ConnectionRefused => "nobody listens there",
                _ => null,
            });
        }
        catch (ArgumentException)
        {
            throw new LinuxException("connect", 36, "the path is too long for a socket");
        }

        return PidFd.PeerOf(socket.SafeHandle) ?? throw new LinuxException("getsockopt", 22, "the listener has no process of this host");
    }
}
