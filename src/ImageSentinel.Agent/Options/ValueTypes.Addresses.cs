using System.Buffers;
using System.Globalization;
using System.Net;

namespace ImageSentinel.Agent.Options;

/// <summary>Values that name places on the network. Nothing is ever resolved.</summary>
internal static partial class ValueTypes
{
    private static readonly SearchValues<char> AddressCharacters = SearchValues.Create("0123456789abcdefABCDEF.:");
    private static readonly SearchValues<char> NumericCharacters = SearchValues.Create("0123456789./");
    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");

    /// <summary>An address, a CIDR; the address family is left as written.</summary>
    public static bool TryNetwork(string text, out IPNetwork value, out string problem)
    {
        value = default;
        int slash = text.IndexOf('/', StringComparison.Ordinal);
        ReadOnlySpan<char> host = slash < 0 ? text : text.AsSpan(0, slash);

        // IPAddress.Parse also takes "10.1" and "0x7f000001"; a policy file must mean what a person reads in it.
        if (!IPAddress.TryParse(host, out IPAddress? address)
            || host.ContainsAnyExcept(AddressCharacters)
            || (!host.Contains(':') && host.Count('.') != 3))
        {
            problem = $"\"{text}\" is not an address or CIDR; write 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32";
            return false;
        }

        int bits = address.GetAddressBytes().Length * 8;
        int prefix = bits;
        if (slash >= 0 && !(int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out prefix) && prefix <= bits))
        {
            problem = $"\"{text}\" has no valid prefix length; after the slash goes a number from 0 to {bits}";
            return false;
        }

        byte[] bytes = address.GetAddressBytes();
        for (int bit = prefix; bit < bits; bit++)
        {
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        }

        var network = new IPAddress(bytes);
        if (!network.Equals(address))
        {
            problem = $"\"{text}\" has bits set behind the prefix; write {network}/{prefix}";
            return false;
        }

        (value, problem) = (new IPNetwork(network, prefix), "");
        return true;
    }

    private static bool ParseNetwork(string text, out IPNetwork value, out string problem) => TryNetwork(text, out value, out problem);

    private static bool ParseDestination(string text, out DestinationPattern value, out string problem)
    {
        value = new DestinationPattern(null, "", false);
        if (TryNetwork(text, out IPNetwork network, out problem))
        {
            value = new DestinationPattern(network, null, false);
            return true;
        }

        bool looksNumeric = text.Length > 0 && !text.AsSpan().ContainsAnyExcept(NumericCharacters);
        if (looksNumeric || text.Contains('/', StringComparison.Ordinal))
        {
            return false;
        }

        if (text.Contains(':', StringComparison.Ordinal))
        {
            problem = $"\"{text}\" carries a port; put the number under \"port\"";
            return false;
        }

        bool suffix = text.StartsWith("*.", StringComparison.Ordinal);
        string name = (suffix ? text[2..] : text).TrimEnd('.').ToLowerInvariant();
        if (!IsHostName(name))
        {
            problem = $"\"{text}\" is not an address, CIDR, name or *.suffix";
            return false;
        }

        (value, problem) = (new DestinationPattern(null, name, suffix), "");
        return true;
    }

    private static bool ParseRegistry(string text, out string value, out string problem)
    {
        (value, problem) = (text, $"\"{text}\" is not a registry; write host, host:port or host/path, without a scheme");
        int slash = text.IndexOf('/', StringComparison.Ordinal);
        string host = slash < 0 ? text : text[..slash];
        if (text.Contains("://", StringComparison.Ordinal) || slash == text.Length - 1)
        {
            return false;
        }

        if (host is ['[', ..])
        {
            int close = host.IndexOf(']', StringComparison.Ordinal);
            return close > 0 && IPAddress.TryParse(host.AsSpan(1, close - 1), out _) && IsPortSuffix(host[(close + 1)..]);
        }

        int colon = host.IndexOf(':', StringComparison.Ordinal);
        return IsHostName(colon < 0 ? host : host[..colon]) && IsPortSuffix(colon < 0 ? "" : host[colon..]);
    }

    private static bool IsHostName(string name)
        => name.Length is > 0 and <= 253
            && !name.AsSpan().ContainsAnyExcept(NameCharacters)
            && !name.Split('.').Any(label => label.Length is 0 or > 63);

    private static bool IsPortSuffix(string text)
        => text.Length == 0 || (text[0] == ':' && ushort.TryParse(text.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port) && port > 0);
}
