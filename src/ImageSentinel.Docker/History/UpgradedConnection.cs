using System.Net.Sockets;
using System.Text;

namespace ImageSentinel.Docker.History;

/// <summary>The engine's gRPC door: <c>POST /grpc</c> on its socket, upgraded to HTTP/2 in clear text.</summary>
/// <remarks>Measured on 20.10 and 26.1: the engine answers 101 and is an HTTP/2 server on the same connection from then on.</remarks>
internal static class UpgradedConnection
{
    private const int MaximumHead = 8192;

    /// <exception cref="EngineApiException">Nobody listens, or the engine does not upgrade.</exception>
    public static async ValueTask<Stream> OpenAsync(string socketPath, CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), cancellation).ConfigureAwait(false);
            await socket.SendAsync(
                "POST /grpc HTTP/1.1\r\nHost: engine\r\nUser-Agent: imagesentinel\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n"u8.ToArray(),
                cancellation).ConfigureAwait(false);
            string head = await ReadHeadAsync(socket, cancellation).ConfigureAwait(false);
            if (!head.StartsWith("HTTP/1.1 101 ", StringComparison.Ordinal))
            {
                throw new EngineApiException("the engine offers no gRPC on its socket");
            }

            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new EngineApiException(e.Message, e);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    // Byte by byte: what follows the head is HTTP/2 and belongs to the next reader.
    private static async Task<string> ReadHeadAsync(Socket socket, CancellationToken cancellation)
    {
        byte[] head = new byte[MaximumHead];
        for (int length = 0; length < head.Length; length++)
        {
            if (await socket.ReceiveAsync(head.AsMemory(length, 1), cancellation).ConfigureAwait(false) == 0)
            {
                throw new EngineApiException("the engine closed the connection");
            }

            if (head.AsSpan(0, length + 1).EndsWith("\r\n\r\n"u8))
            {
                return Encoding.ASCII.GetString(head, 0, length + 1);
            }
        }

        throw new EngineApiException("the engine's answer is too long to be an upgrade");
    }
}
