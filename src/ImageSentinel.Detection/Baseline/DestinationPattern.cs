using System.Buffers;
using System.Globalization;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Baseline;

/// <summary>Destinations an operator named: an address or block, optionally with port and transport.</summary>
/// <param name="Port">0 means any.</param>
/// <param name="Protocol">Unknown means any.</param>
public sealed record DestinationPattern(AddressRange Range, ushort Port, EgressProtocol Protocol, string Text)
{
    private static readonly SearchValues<char> NameCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
    private static readonly SearchValues<char> AddressCharacters = SearchValues.Create("0123456789.");
    private static readonly SearchValues<char> Letters = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

    /// <summary>Lower case; empty when addresses are meant.</summary>
    public string Name { get; init; } = "";

    /// <summary>True for <c>*.name</c>: everything below it, not the name itself.</summary>
    public bool Below { get; init; }

    /// <summary>A pattern for names instead of addresses.</summary>
    public static DestinationPattern OfName(string name, bool below, ushort port, EgressProtocol protocol, string text)
        => new(default, port, protocol, text) { Name = name, Below = below };

    /// <summary>True when one of the names is meant, and port and transport fit.</summary>
    public bool MatchesName(IReadOnlyList<string> names, Destination destination, out string matched)
    {
        matched = "";
        if (Name.Length == 0 || (Port != 0 && Port != destination.Port) || (Protocol != EgressProtocol.Unknown && Protocol != destination.Protocol))
        {
            return false;
        }

        foreach (string name in names)
        {
            bool below = name.Length > Name.Length && name.EndsWith(Name, StringComparison.Ordinal) && name[name.Length - Name.Length - 1] == '.';
            if (Below ? below : name == Name)
            {
                matched = name;
                return true;
            }
        }

        return false;
    }

    /// <summary>True when a name on a port is meant.</summary>
    public bool Covers(string name, ushort port, EgressProtocol protocol)
        => MatchesName([name], new Destination(default, port, protocol), out _);

    // At least two labels, and not all digits and dots: that would be a broken address.
    private static bool IsName(ReadOnlySpan<char> name)
        => name.Length is > 0 and <= 253 && name.IndexOf('.') > 0 && name.IndexOfAnyExcept(NameCharacters) < 0
        && name.IndexOf("..") < 0 && name.IndexOfAnyExcept(AddressCharacters) >= 0;

    public bool Matches(Destination destination)
        => Name.Length == 0
        && Range.Contains(destination.Address)
        && (Port == 0 || Port == destination.Port)
        && (Protocol == EgressProtocol.Unknown || Protocol == destination.Protocol);

    /// <summary>
    /// Reads <c>203.0.113.66</c>, <c>203.0.113.0/24</c>, <c>203.0.113.66:443</c>, <c>203.0.113.66:53/udp</c>,
    /// <c>2001:db8::1</c>, <c>[2001:db8::1]:443/tcp</c>, <c>[2001:db8::/32]:443</c>, <c>mirror.corp.example:443</c>,
    /// <c>*.corp.example</c>.
    /// </summary>
    public static bool TryParse(string text, out DestinationPattern? pattern)
    {
        pattern = null;
        ReadOnlySpan<char> rest = text.AsSpan().Trim();
        ReadOnlySpan<char> behind = [];
        ReadOnlySpan<char> host;
        if (rest.StartsWith("["))
        {
            int close = rest.IndexOf(']');
            if (close < 0)
            {
                return false;
            }

            host = rest[1..close];
            behind = rest[(close + 1)..];
        }
        else
        {
            int colon = rest.IndexOf(':');
            bool single = colon >= 0 && rest[(colon + 1)..].IndexOf(':') < 0;
            host = single ? rest[..colon] : rest;
            behind = single ? rest[colon..] : [];
        }

        ushort port = 0;
        EgressProtocol protocol = EgressProtocol.Unknown;
        if (!behind.IsEmpty)
        {
            if (behind[0] != ':')
            {
                return false;
            }

            behind = behind[1..];
            int slash = behind.IndexOf('/');
            if (slash >= 0)
            {
                // A name of one transport: the enum would also take numbers and lists.
                ReadOnlySpan<char> name = behind[(slash + 1)..];
                if (name.IndexOfAnyExcept(Letters) >= 0 || !Enum.TryParse(name, ignoreCase: true, out protocol) || protocol == EgressProtocol.Unknown)
                {
                    return false;
                }

                behind = behind[..slash];
            }

            if (!ushort.TryParse(behind, NumberStyles.None, CultureInfo.InvariantCulture, out port) || port == 0)
            {
                return false;
            }
        }

        if (!AddressRange.TryParse(host, out AddressRange range))
        {
            bool suffix = host.StartsWith("*.");
            ReadOnlySpan<char> name = (suffix ? host[2..] : host).TrimEnd('.');
            if (!IsName(name))
            {
                return false;
            }

            pattern = OfName(name.ToString().ToLowerInvariant(), suffix, port, protocol, text.Trim());
            return true;
        }

        pattern = new DestinationPattern(range, port, protocol, text.Trim());
        return true;
    }
}
