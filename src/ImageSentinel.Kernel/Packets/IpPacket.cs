using System.Buffers;
using System.Buffers.Binary;

namespace ImageSentinel.Kernel.Packets;

/// <summary>The outside of an IP packet: who to whom, and what it carries. A view into the captured bytes.</summary>
/// <remarks>RFC 791 and RFC 8200. Later fragments carry no ports and are refused. Of IPv6 extension headers those that may
/// stand in front of a transport header are stepped over, at most <see cref="MaximumExtensions"/>.</remarks>
public readonly ref struct IpPacket
{
    public const ushort EtherTypeIPv4 = 0x0800;
    public const ushort EtherTypeIPv6 = 0x86DD;
    public const byte Tcp = 6;
    public const byte Udp = 17;

    private const int MaximumExtensions = 4;
    private const int IPv6HeaderSize = 40;
    private const byte HopByHop = 0;
    private const byte Routing = 43;
    private const byte Fragment = 44;
    private const byte DestinationOptions = 60;

    private IpPacket(ReadOnlySpan<byte> source, ReadOnlySpan<byte> destination, byte protocol, ReadOnlySpan<byte> payload)
    {
        Source = source;
        Destination = destination;
        Protocol = protocol;
        Payload = payload;
    }

    /// <summary>4 or 16 bytes, network order.</summary>
    public ReadOnlySpan<byte> Source { get; }

    public ReadOnlySpan<byte> Destination { get; }

    public byte Protocol { get; }

    /// <summary>What was captured of it: the packet may have been longer, and padding behind it is cut off.</summary>
    public ReadOnlySpan<byte> Payload { get; }

    /// <param name="etherType">As the link layer said it; the version in the packet must agree.</param>
    /// <param name="packet">From the network header on.</param>
    /// <param name="result">A view into <paramref name="packet"/>.</param>
    public static OperationStatus TryParse(ushort etherType, ReadOnlySpan<byte> packet, out IpPacket result)
    {
        result = default;
        return etherType switch
        {
            EtherTypeIPv4 => TryParse4(packet, out result),
            EtherTypeIPv6 => TryParse6(packet, out result),
            _ => OperationStatus.InvalidData,
        };
    }

    private static OperationStatus TryParse4(ReadOnlySpan<byte> packet, out IpPacket result)
    {
        result = default;
        if (packet.Length < 20)
        {
            return OperationStatus.NeedMoreData;
        }

        int header = (packet[0] & 0xF) * 4;
        int total = BinaryPrimitives.ReadUInt16BigEndian(packet[2..]);

        // A segment that the sender leaves to the network card to split may have a total length of 0.
        total = total == 0 ? packet.Length : total;
        bool laterFragment = (BinaryPrimitives.ReadUInt16BigEndian(packet[6..]) & 0x1FFF) != 0;
        if (packet[0] >> 4 != 4 || header < 20 || total < header || laterFragment)
        {
            return OperationStatus.InvalidData;
        }

        if (packet.Length < header)
        {
            return OperationStatus.NeedMoreData;
        }

        result = new IpPacket(packet.Slice(12, 4), packet.Slice(16, 4), packet[9], packet[header..Math.Min(total, packet.Length)]);
        return OperationStatus.Done;
    }

    private static OperationStatus TryParse6(ReadOnlySpan<byte> packet, out IpPacket result)
    {
        result = default;
        if (packet.Length < IPv6HeaderSize)
        {
            return OperationStatus.NeedMoreData;
        }

        if (packet[0] >> 4 != 6)
        {
            return OperationStatus.InvalidData;
        }

        int length = BinaryPrimitives.ReadUInt16BigEndian(packet[4..]);
        ReadOnlySpan<byte> rest = packet[IPv6HeaderSize..];
        rest = length == 0 ? rest : rest[..Math.Min(length, rest.Length)];
        byte next = packet[6];
        for (int i = 0; next is HopByHop or Routing or DestinationOptions or Fragment; i++)
        {
            if (i == MaximumExtensions)
            {
                return OperationStatus.InvalidData;
            }

            if (rest.Length < 8)
            {
                return OperationStatus.NeedMoreData;
            }

            if (next == Fragment && (BinaryPrimitives.ReadUInt16BigEndian(rest[2..]) & 0xFFF8) != 0)
            {
                return OperationStatus.InvalidData;
            }

            int size = next == Fragment ? 8 : (rest[1] + 1) * 8;
            if (size > rest.Length)
            {
                return OperationStatus.NeedMoreData;
            }

            next = rest[0];
            rest = rest[size..];
        }

        result = new IpPacket(packet.Slice(8, 16), packet.Slice(24, 16), next, rest);
        return OperationStatus.Done;
    }
}
