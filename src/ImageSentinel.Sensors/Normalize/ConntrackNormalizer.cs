using System.Buffers;
using System.Buffers.Binary;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Model;
using ImageSentinel.Kernel.Conntrack;
using ImageSentinel.Kernel.Netlink;
using ImageSentinel.Sensors.Stream;
using static ImageSentinel.Kernel.Numbers.ConntrackConstants;

namespace ImageSentinel.Sensors.Normalize;

/// <summary>Connection tracking datagrams → flows that began or ended.</summary>
public sealed class ConntrackNormalizer(IDomainEvents core)
{
    private const byte IPPROTO_ICMP = 1;
    private const byte IPPROTO_TCP = 6;
    private const byte IPPROTO_UDP = 17;
    private const byte IPPROTO_ICMPV6 = 58;

    public long Malformed { get; private set; }

    public void Normalize(in SensorItem item)
    {
        var at = new Stamp(item.BootNanoseconds, item.WallNanoseconds);
        ReadOnlySpan<byte> rest = item.Span;
        while (rest.Length >= sizeof(uint))
        {
            int length = (int)Math.Min(int.MaxValue, BinaryPrimitives.ReadUInt32LittleEndian(rest));
            rest = rest[sizeof(uint)..];
            if (length > rest.Length)
            {
                Malformed++;
                break;
            }

            // One datagram may hold several messages.
            var frames = new NetlinkFrameReader(rest[..length]);
            while (frames.TryRead(out NetlinkFrame frame))
            {
                Dispatch(frame, at);
            }

            Malformed += frames.IsMalformed ? 1 : 0;
            rest = rest[length..];
        }
    }

    private void Dispatch(in NetlinkFrame frame, Stamp at)
    {
        if (FlowRecord.TryParse(frame, out FlowRecord flow) != OperationStatus.Done)
        {
            Malformed++;
            return;
        }

        EgressOutcome answer = AnswerOf(flow);
        bool closing = flow.Change == FlowChange.Update && flow.TcpState is >= TCP_CONNTRACK_FIN_WAIT and <= TCP_CONNTRACK_CLOSE;
        if ((flow.Change == FlowChange.Update && answer == EgressOutcome.None && !closing) || flow.Original.Destination.Length is not (4 or 16))
        {
            return;
        }

        core.On(new FlowSeen
        {
            At = at,
            Ended = flow.Change == FlowChange.Destroy,
            Answer = answer,
            Closing = closing,
            HasBytes = flow.HasCounters,
            Source = NetAddress.FromBytes(flow.Original.Source),
            SourcePort = flow.Original.SourcePort,
            Destination = new Destination(
                NetAddress.FromBytes(flow.Original.Destination),
                flow.Original.DestinationPort,
                ProtocolOf(flow.Original.Protocol)),
            BytesSent = flow.HasCounters ? flow.OriginalBytes : 0,
            BytesReceived = flow.HasCounters ? flow.ReplyBytes : 0,
        });
    }

    internal static EgressProtocol ProtocolOf(byte protocol) => protocol switch
    {
        IPPROTO_TCP => EgressProtocol.Tcp,
        IPPROTO_UDP => EgressProtocol.Udp,
        IPPROTO_ICMP or IPPROTO_ICMPV6 => EgressProtocol.Icmp,
        _ => EgressProtocol.Unknown,
    };

    // The kernel says CLOSE for any reset; that it came before the handshake was over, the core knows.
    private static EgressOutcome AnswerOf(in FlowRecord flow) => flow.Change != FlowChange.Update ? EgressOutcome.None : flow.TcpState switch
    {
        TCP_CONNTRACK_ESTABLISHED => EgressOutcome.Established,
        TCP_CONNTRACK_CLOSE => EgressOutcome.Refused,
        _ => EgressOutcome.None,
    };
}
