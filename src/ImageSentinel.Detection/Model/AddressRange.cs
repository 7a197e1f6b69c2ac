using System.Globalization;

namespace ImageSentinel.Detection.Model;

/// <summary>A CIDR block of either family, as first and last address.</summary>
public readonly record struct AddressRange(NetAddress First, NetAddress Last)
{
    public bool Contains(NetAddress address) => address >= First && address <= Last;

    /// <summary>Reads <c>10.0.0.0/8</c>, <c>2001:db8::/32</c> or a single address.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out AddressRange range)
    {
        range = default;
        int slash = text.IndexOf('/');
        if (!NetAddress.TryParse(slash < 0 ? text : text[..slash], out NetAddress address))
        {
            return false;
        }

        int width = address.IsIPv4 ? 32 : 128;
        int length = width;
        if (slash >= 0 && (!int.TryParse(text[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out length) || length > width))
        {
            return false;
        }

        int hostBits = width - length;
        UInt128 mask = hostBits == 128 ? UInt128.MaxValue : (UInt128.One << hostBits) - 1;
        UInt128 value = address.ToUInt128();
        range = new AddressRange(From(value & ~mask), From(value | mask));
        return true;

        static NetAddress From(UInt128 bits) => new((ulong)(bits >> 64), (ulong)bits);
    }
}
