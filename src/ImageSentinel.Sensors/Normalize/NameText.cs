using System.Text;

namespace ImageSentinel.Sensors.Normalize;

/// <summary>A name that a client wrote into its request, as text that can stand in a table: lower case, nothing unprintable.</summary>
internal static class NameText
{
    private const int Longest = 255;

    /// <param name="bytes">Host, perhaps with port; in brackets when it is an IPv6 address.</param>
    /// <param name="withPort">Keep the port: it is part of what a proxy is asked for.</param>
    /// <returns>Empty when it is no name and no address.</returns>
    public static string Of(ReadOnlySpan<byte> bytes, bool withPort)
    {
        bytes = bytes.Trim(" \t"u8);
        int close = bytes.IndexOf((byte)']');
        int colon = bytes.LastIndexOf((byte)':');
        ReadOnlySpan<byte> host = colon > close ? bytes[..colon] : bytes;
        ReadOnlySpan<byte> port = colon > close ? bytes[(colon + 1)..] : [];
        host = host.TrimEnd((byte)'.');
        if (host.Length is 0 or > Longest || port.Length > 5 || port.IndexOfAnyExceptInRange((byte)'0', (byte)'9') >= 0)
        {
            return "";
        }

        Span<char> text = stackalloc char[Longest];
        for (int i = 0; i < host.Length; i++)
        {
            char c = (char)host[i];
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('.' or '-' or '_' or '*' or '[' or ']' or ':'))
            {
                return "";
            }

            text[i] = char.ToLowerInvariant(c);
        }

        string name = new(text[..host.Length]);
        return withPort && port.Length > 0 ? $"{name}:{Encoding.ASCII.GetString(port)}" : name;
    }
}
