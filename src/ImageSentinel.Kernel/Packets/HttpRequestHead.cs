using System.Buffers;

namespace ImageSentinel.Kernel.Packets;

/// <summary>The first line of an HTTP/1 request and its Host header. A view into the bytes.</summary>
/// <remarks>RFC 9112, 2 and 3. Everything else in the head is nobody's business here: it may hold credentials.</remarks>
public readonly ref struct HttpRequestHead
{
    private const int LongestMethod = 16;

    private HttpRequestHead(ReadOnlySpan<byte> method, ReadOnlySpan<byte> target, ReadOnlySpan<byte> host)
    {
        Method = method;
        Target = target;
        Host = host;
    }

    public ReadOnlySpan<byte> Method { get; }

    /// <summary>As sent: a path, an absolute URL (to a proxy) or, for CONNECT, host and port.</summary>
    public ReadOnlySpan<byte> Target { get; }

    /// <summary>Empty when the head ends, or was cut, without one.</summary>
    public ReadOnlySpan<byte> Host { get; }

    /// <returns>NeedMoreData when the first line was cut; InvalidData when it is no request.</returns>
    public static OperationStatus TryParse(ReadOnlySpan<byte> bytes, out HttpRequestHead head)
    {
        head = default;
        int space = bytes[..Math.Min(bytes.Length, LongestMethod + 1)].IndexOf((byte)' ');
        ReadOnlySpan<byte> method = space < 0 ? bytes[..Math.Min(bytes.Length, LongestMethod)] : bytes[..space];
        if (method.IndexOfAnyExceptInRange((byte)'A', (byte)'Z') >= 0 || space == 0 || (space < 0 && bytes.Length > LongestMethod))
        {
            return OperationStatus.InvalidData;
        }

        int end = bytes.IndexOf((byte)'\n');
        if (space < 0 || end < 0)
        {
            return OperationStatus.NeedMoreData;
        }

        ReadOnlySpan<byte> line = bytes[..end].TrimEnd((byte)'\r');
        int last = line.LastIndexOf((byte)' ');
        if (last <= space || !line[(last + 1)..].StartsWith("HTTP/1."u8))
        {
            return OperationStatus.InvalidData;
        }

        ReadOnlySpan<byte> target = line[(space + 1)..last];
        if (target.IsEmpty || target.IndexOfAnyInRange((byte)0, (byte)' ') >= 0)
        {
            return OperationStatus.InvalidData;
        }

        head = new HttpRequestHead(method, target, FindHost(bytes[(end + 1)..]));
        return OperationStatus.Done;
    }

    private static ReadOnlySpan<byte> FindHost(ReadOnlySpan<byte> headers)
    {
        while (true)
        {
            int end = headers.IndexOf((byte)'\n');
            if (end < 0)
            {
                return [];
            }

            ReadOnlySpan<byte> line = headers[..end].TrimEnd((byte)'\r');
            if (line.IsEmpty)
            {
                return [];
            }

            if (line.Length > 5 && line[4] == (byte)':' && System.Text.Ascii.EqualsIgnoreCase(line[..4], "host"u8))
            {
                return line[5..].Trim(" \t"u8);
            }

            headers = headers[(end + 1)..];
        }
    }
}
