using System.Net.Sockets;
using ImageSentinel.Interop;

namespace ImageSentinel.Sensors.Lookups;

/// <summary>Who listens on a Unix socket.</summary>
internal static class SocketPeer
{
    private const int ENOENT = 2;
    private const int ECONNREFUSED = 111;

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
            // The runtime has its own number for a missing socket file; say what it is.
            throw e.SocketErrorCode switch
            {
                SocketError.AddressNotAvailable => new LinuxException("connect", ENOENT),
                SocketError.ConnectionRefused => new LinuxException("connect", ECONNREFUSED, "nobody listens there"),
                _ => new LinuxException("connect", e.NativeErrorCode),
            };
        }
        catch (ArgumentException)
        {
            throw new LinuxException("connect", 36, "the path is too long for a socket");
        }

        return PidFd.PeerOf(socket.SafeHandle) ?? throw new LinuxException("getsockopt", 22, "the listener has no process of this host");
    }
}
