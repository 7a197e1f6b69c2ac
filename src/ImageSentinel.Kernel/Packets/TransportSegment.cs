using System.Buffers;
using System.Buffers.Binary;

namespace ImageSentinel.Kernel.Packets;

/// <summary>A TCP segment or UDP datagram: ports and data. A view into the packet.</summary>
/// <remarks>RFC 9293, RFC 768. Checksums are not looked at: of a packet that this host sends they are not filled in yet.</remarks>
public readonly ref struct TransportSegment
{
    private TransportSegment(ushort source, ushort destination, uint sequence, ReadOnlySpan<byte> data)
    {
        SourcePort = source;
        DestinationPort = destination;
        Sequence = sequence;
        Data = data;
    }

    public ushort SourcePort { get; }

    public ushort DestinationPort { get; }

    /// <summary>TCP: number of the first byte of <see cref="Data"/>; 0 for UDP.</summary>
    public uint Sequence { get; }

    public ReadOnlySpan<byte> Data { get; }

    public static OperationStatus TryParse(in IpPacket packet, out TransportSegment segment)
    {
        segment = default;
        ReadOnlySpan<byte> bytes = packet.Payload;
        if (bytes.Length < 8)
        {
            return packet.Protocol is IpPacket.Tcp or IpPacket.Udp ? OperationStatus.NeedMoreData : OperationStatus.InvalidData;
        }

        ushort source = BinaryPrimitives.ReadUInt16BigEndian(bytes);
        ushort destination = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        if (packet.Protocol == IpPacket.Udp)
        {
            int length = BinaryPrimitives.ReadUInt16BigEndian(bytes[4..]);
            if (length is > 0 and < 8)
            {
                return OperationStatus.InvalidData;
            }

            // 0 is a datagram beyond 64 KiB (RFC 2675): as long as what carries it.
            segment = new TransportSegment(source, destination, 0, length == 0 ? bytes[8..] : bytes[8..Math.Min(length, bytes.Length)]);
            return OperationStatus.Done;
        }

        if (packet.Protocol != IpPacket.Tcp)
        {
            return OperationStatus.InvalidData;
        }

        if (bytes.Length < 20)
        {
            return OperationStatus.NeedMoreData;
        }

        int header = (bytes[12] >> 4) * 4;
        if (header < 20)
        {
            return OperationStatus.InvalidData;
        }

        if (header > bytes.Length)
        {
            return OperationStatus.NeedMoreData;
        }

        segment = new TransportSegment(source, destination, BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]), bytes[header..]);
        return OperationStatus.Done;
    }
}
