using System.Net;
using System.Net.Sockets;
using System.Text;

namespace ImageSentinel.Sensors.SelfTesting;

/// <summary>The other process of the self-test. Runs as <c>imagesentinel self-test-child NONCE [root:DIR | engine:SOCKET]…</c>.</summary>
/// <remarks>
/// A process of its own because the agent's network calls are exempt from its rules, and an audit daemon's from every
/// rule. Its start is the exec that is looked for. Nothing leaves the machine: the connect is a UDP one to loopback,
/// which sends no packet; the file is empty and is removed at once.
/// </remarks>
public static class SelfTestChild
{
    /// <summary>The hidden first argument.</summary>
    public const string Command = "self-test-child";

    /// <summary>Marks the files that the child makes; the file sensor forwards them.</summary>
    public const string FilePrefix = "imagesentinel-";

    private const int Discard = 9;

    /// <param name="arguments">After <see cref="Command"/>: the nonce, then the places.</param>
    /// <returns>0 when everything was done, 1 when something could not be.</returns>
    public static int Run(ReadOnlySpan<string> arguments)
    {
        if (arguments.IsEmpty)
        {
            return 64;
        }

        bool done = Try(static _ =>
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            socket.Connect(new IPEndPoint(IPAddress.Loopback, Discard));
        }, "");
        string nonce = arguments[0];
        foreach (string place in arguments[1..])
        {
            if (place.StartsWith("root:", StringComparison.Ordinal))
            {
                done &= Try(root => TouchFile(root, nonce), place[5..]);
            }
            else if (place.StartsWith("engine:", StringComparison.Ordinal))
            {
                done &= Try(Ping, place[7..]);
            }
        }

        return done ? 0 : 1;
    }

    private static void TouchFile(string root, string nonce)
    {
        // dockerd makes this directory when it starts.
        string directory = Path.Combine(root, "tmp");
        string file = Path.Combine(Directory.Exists(directory) ? directory : root, FilePrefix + nonce);
        using FileStream stream = new(file, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose);
    }

    // One accepted connection is enough; the answer says that the engine took it up and is not only queueing it.
    private static void Ping(string path)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.ReceiveTimeout = 1000;
        socket.Connect(new UnixDomainSocketEndPoint(path));
        socket.Send(Encoding.ASCII.GetBytes("GET /_ping HTTP/1.1\r\nHost: docker\r\nUser-Agent: imagesentinel-self-test\r\nConnection: close\r\n\r\n"));
        _ = socket.Receive(new byte[256]);
    }

    private static bool Try(Action<string> action, string place)
    {
        try
        {
            action(place);
            return true;
        }
        catch (Exception e) when (e is IOException or SocketException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
