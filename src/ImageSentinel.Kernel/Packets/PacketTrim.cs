using System.Buffers;

namespace ImageSentinel.Kernel.Packets;

/// <summary>What is kept of a captured packet.</summary>
public static class PacketTrim
{
    /// <summary>Takes secrets out of a captured packet in place; see <see cref="HttpRequestTrim"/>.</summary>
    /// <param name="etherType">The link layer's protocol number.</param>
    /// <param name="packet">From the network header on.</param>
    /// <returns>Bytes that remain; 0 when it is nothing that carries names.</returns>
    public static int Apply(ushort etherType, Span<byte> packet)
    {
        if (IpPacket.TryParse(etherType, packet, out IpPacket ip) != OperationStatus.Done
            || TransportSegment.TryParse(ip, out TransportSegment segment) != OperationStatus.Done
            || segment.Data.IsEmpty)
        {
            return 0;
        }

        // Views of the same bytes: where the data ends, the packet may only have padding.
        int start = Offset(packet, segment.Data);
        Span<byte> data = packet.Slice(start, segment.Data.Length);
        bool names = segment.SourcePort == 53 || segment.DestinationPort == 53;
        return ip.Protocol == IpPacket.Tcp && !names && !ClientHello.MayBegin(data) ? start + HttpRequestTrim.Apply(data) : start + data.Length;
    }

    private static int Offset(ReadOnlySpan<byte> whole, ReadOnlySpan<byte> part) => whole.Overlaps(part, out int offset) ? offset : 0;
}
