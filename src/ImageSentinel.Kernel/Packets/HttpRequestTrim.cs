using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace ImageSentinel.Kernel.Packets;

/// <summary>Takes out of an HTTP request head everything that may be a secret, before anything is queued or recorded.</summary>
/// <remarks>
/// What stays: method, path, Host, and of requests to an engine's API the parameters named in <see cref="s_kept"/>.
/// Headers (X-Registry-Config, Authorization), build arguments, other parameters, and names and passwords in URLs
/// never leave the buffer they were read into.
/// </remarks>
public static class HttpRequestTrim
{
    /// <summary>What is shown in place of a secret.</summary>
    public static ReadOnlySpan<byte> Mask => "***"u8;

    private const int Longest = 2048;

    // Parameters of POST /build, /images/create, /commit and /containers/create that say what is asked for.
    private static readonly string[] s_kept =
        ["t", "remote", "dockerfile", "target", "networkmode", "nocache", "pull", "version", "buildid", "fromImage", "fromSrc", "tag", "repo", "container", "name"];

    /// <summary>Rewrites the data of a segment in place when it is an HTTP request.</summary>
    /// <returns>Bytes that remain.</returns>
    public static int Apply(Span<byte> data)
    {
        OperationStatus status = HttpRequestHead.TryParse(data, out HttpRequestHead head);
        if (status == OperationStatus.InvalidData)
        {
            return data.Length;
        }

        if (status == OperationStatus.NeedMoreData)
        {
            // The line goes on in a segment that we do not see; a part of a parameter may be a part of a secret.
            int question = data.IndexOf((byte)'?');
            return question < 0 ? data.Length : question;
        }

        Span<byte> kept = stackalloc byte[Longest];
        var text = new Writer(kept);
        text.Add(head.Method);
        text.Add(" "u8);
        AddTarget(ref text, head.Target);
        text.Add(" HTTP/1.1\r\nHost: "u8);
        text.Add(head.Host[..Math.Min(head.Host.Length, 255)]);
        text.Add("\r\n\r\n"u8);
        int length = Math.Min(text.Length, data.Length);
        kept[..length].CopyTo(data);
        return length;
    }

    private static void AddTarget(ref Writer text, ReadOnlySpan<byte> target)
    {
        int question = target.IndexOf((byte)'?');
        ReadOnlySpan<byte> path = question < 0 ? target : target[..question];
        int scheme = path.IndexOf("://"u8);
        if (scheme >= 0)
        {
            AddWithoutUser(ref text, path);
            return;
        }

        text.Add(path[..Math.Min(path.Length, 1024)]);
        if (question < 0 || !IsEngineApi(path))
        {
            return;
        }

        bool first = true;
        ReadOnlySpan<byte> rest = target[(question + 1)..];
        while (!rest.IsEmpty)
        {
            int end = rest.IndexOf((byte)'&');
            ReadOnlySpan<byte> pair = end < 0 ? rest : rest[..end];
            rest = end < 0 ? [] : rest[(end + 1)..];
            int equals = pair.IndexOf((byte)'=');
            if (equals <= 0 || !IsKept(pair[..equals]))
            {
                continue;
            }

            text.Add(first ? "?"u8 : "&"u8);
            first = false;
            text.Add(pair[..(equals + 1)]);
            AddValue(ref text, pair[(equals + 1)..]);
        }
    }

    private static bool IsKept(ReadOnlySpan<byte> name)
    {
        foreach (string kept in s_kept)
        {
            if (Ascii.Equals(name, kept))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>True for paths of the engine's API: <c>/v1.41/build</c>, <c>/images/create</c>, …</summary>
    public static bool IsEngineApi(ReadOnlySpan<byte> path)
    {
        if (path.StartsWith("/v1."u8))
        {
            int slash = path[1..].IndexOf((byte)'/');
            path = slash < 0 ? [] : path[(slash + 1)..];
        }

        return path.SequenceEqual("/build"u8) || path.SequenceEqual("/commit"u8) || path.SequenceEqual("/session"u8) || path.SequenceEqual("/grpc"u8)
            || path.StartsWith("/build/"u8) || path.StartsWith("/images/"u8) || path.StartsWith("/containers/"u8) || path.StartsWith("/exec/"u8);
    }

    // Percent-encoding undone, so that "%40" cannot carry a password past.
    private static void AddValue(ref Writer text, ReadOnlySpan<byte> value)
    {
        Span<byte> plain = stackalloc byte[512];
        int length = 0;
        for (int i = 0; i < value.Length && length < plain.Length; i++)
        {
            if (value[i] == '%' && i + 2 < value.Length && Utf8Parser.TryParse(value.Slice(i + 1, 2), out byte hex, out int used, 'x') && used == 2)
            {
                plain[length++] = hex is > (byte)' ' and < 0x7F ? hex : (byte)'_';
                i += 2;
            }
            else
            {
                plain[length++] = value[i] is > (byte)' ' and < 0x7F ? value[i] : (byte)'_';
            }
        }

        AddWithoutUser(ref text, plain[..length]);
    }

    private static void AddWithoutUser(ref Writer text, scoped ReadOnlySpan<byte> url)
    {
        int question = url.IndexOf((byte)'?');
        url = question < 0 ? url : url[..question];
        int scheme = url.IndexOf("://"u8);
        ReadOnlySpan<byte> authority = scheme < 0 ? [] : url[(scheme + 3)..];
        int slash = authority.IndexOf((byte)'/');
        ReadOnlySpan<byte> host = slash < 0 ? authority : authority[..slash];
        int at = host.LastIndexOf((byte)'@');
        if (scheme < 0 || at < 0)
        {
            text.Add(url);
            return;
        }

        text.Add(url[..(scheme + 3)]);
        text.Add(Mask);
        text.Add(authority[at..]);
    }

    private ref struct Writer(Span<byte> target)
    {
        private readonly Span<byte> _target = target;

        public int Length { get; private set; }

        public void Add(scoped ReadOnlySpan<byte> bytes)
        {
            int count = Math.Min(bytes.Length, _target.Length - Length);
            bytes[..count].CopyTo(_target[Length..]);
            Length += count;
        }
    }
}
