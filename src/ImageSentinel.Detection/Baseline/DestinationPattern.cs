using System.Buffers;
using System.Globalization;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Baseline;

/// <summary>Destinations an operator named: an address or block, optionally with port and transport.</summary>
/// <param name="Port">0 means any.</param>
/// <param name="Protocol">Unknown means any.</param>
public sealed record DestinationPattern(AddressRange Range, ushort Port, EgressProtocol Protocol, string Text)
{
    private static readonly SearchValues<char> Letters = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

    public bool Matches(Destination destination)
        => Range.Contains(destination.Address)
        && (Port == 0 || Port == destination.Port)
        && (Protocol == EgressProtocol.Unknown || Protocol == destination.Protocol);

    /// <summary>
    /// Reads <c>203.0.113.66</c>, <c>203.0.113.0/24</c>, <c>203.0.113.66:443</c>, <c>203.0.113.66:53/udp</c>,
    /// <c>2001:db8::1</c>, <c>[2001:db8::1]:443/tcp</c>, <c>[2001:db8::/32]:443</c>.
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
            return false;
        }

        pattern = new DestinationPattern(range, port, protocol, text.Trim());
        return true;
    }
}
