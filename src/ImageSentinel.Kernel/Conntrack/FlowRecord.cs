using System.Buffers;
using System.Buffers.Binary;
using ImageSentinel.Kernel.Netlink;
using ImageSentinel.Kernel.Numbers;

namespace ImageSentinel.Kernel.Conntrack;

/// <summary>What happened to a flow.</summary>
public enum FlowChange
{
    /// <summary>The kernel saw its first packet.</summary>
    New,

    /// <summary>Its state changed, or it is an entry of a dump.</summary>
    Update,

    /// <summary>The kernel forgot it: after its timeout, so seconds to days after the last packet.</summary>
    Destroy,
}

/// <summary>One entry of the connection tracking table.</summary>
/// <remarks>
/// The original tuple is as the sender wrote it, so of a container's flow it has the inner source address; the reply
/// tuple is what comes back, and behind source address translation its destination is the outer address. Which process
/// it was the kernel does not say. Source: nf_conntrack_netlink.c.
/// </remarks>
public readonly ref struct FlowRecord
{
    private const int GenericHeaderSize = 4; // struct nfgenmsg

    public FlowChange Change { get; private init; }

    /// <summary>AF_INET or AF_INET6.</summary>
    public byte Family { get; private init; }

    public FlowTuple Original { get; private init; }

    public FlowTuple Reply { get; private init; }

    /// <summary><c>IPS_*</c> bits.</summary>
    public uint Status { get; private init; }

    public bool SawReply => (Status & ConntrackConstants.IPS_SEEN_REPLY) != 0;

    /// <summary>Same number from begin to end of an entry; a hash, so another entry may bear it later. 0 for none.</summary>
    public uint Id { get; private init; }

    /// <summary>Seconds until the entry expires.</summary>
    public uint TimeoutSeconds { get; private init; }

    /// <summary><c>TCP_CONNTRACK_*</c>; 0 when it is not TCP or not told.</summary>
    public byte TcpState { get; private init; }

    /// <summary>True when the kernel counts bytes (nf_conntrack_acct=1) and this message carries them.</summary>
    public bool HasCounters { get; private init; }

    public ulong OriginalPackets { get; private init; }

    public ulong OriginalBytes { get; private init; }

    public ulong ReplyPackets { get; private init; }

    public ulong ReplyBytes { get; private init; }

    /// <summary>CLOCK_REALTIME nanoseconds at which the flow began; 0 unless nf_conntrack_timestamp=1.</summary>
    public ulong StartNanoseconds { get; private init; }

    /// <summary>CLOCK_REALTIME nanoseconds at which it ended; 0 unless destroyed and stamped.</summary>
    public ulong StopNanoseconds { get; private init; }

    /// <summary>Reads one message.</summary>
    /// <returns>InvalidData for another subsystem's message, a contradictory length, or an entry without an original
    /// tuple; NeedMoreData when it ends too early.</returns>
    public static OperationStatus TryParse(scoped in NetlinkFrame frame, out FlowRecord record)
    {
        record = default;
        if (frame.Type >> 8 != ConntrackConstants.NFNL_SUBSYS_CTNETLINK)
        {
            return OperationStatus.InvalidData;
        }

        FlowChange change;
        switch (frame.Type & 0xff)
        {
            case ConntrackConstants.IPCTNL_MSG_CT_NEW:
                change = (frame.Flags & NetlinkConstants.NLM_F_CREATE) != 0 ? FlowChange.New : FlowChange.Update;
                break;
            case ConntrackConstants.IPCTNL_MSG_CT_DELETE:
                change = FlowChange.Destroy;
                break;
            default:
                return OperationStatus.InvalidData;
        }

        ReadOnlySpan<byte> payload = frame.Payload;
        if (payload.Length < GenericHeaderSize)
        {
            return OperationStatus.NeedMoreData;
        }

        return TryParseAttributes(change, payload[0], payload[GenericHeaderSize..], out record);
    }

    private static OperationStatus TryParseAttributes(
        FlowChange change,
        byte family,
        ReadOnlySpan<byte> payload,
        out FlowRecord record)
    {
        record = default;
        FlowTuple original = default, reply = default;
        Counters sent = default, received = default;
        uint status = 0, id = 0, timeout = 0;
        ulong start = 0, stop = 0;
        byte tcpState = 0;
        bool hasCounters = false;

        var attributes = new NetlinkAttributeReader(payload);
        while (attributes.TryRead())
        {
            ReadOnlySpan<byte> value = attributes.Value;
            bool valid = true;
            switch (attributes.Type)
            {
                case ConntrackConstants.CTA_TUPLE_ORIG:
                    valid = FlowTuple.TryParse(value, out original);
                    break;
                case ConntrackConstants.CTA_TUPLE_REPLY:
                    valid = FlowTuple.TryParse(value, out reply);
                    break;
                case ConntrackConstants.CTA_STATUS:
                    valid = BinaryPrimitives.TryReadUInt32BigEndian(value, out status);
                    break;
                case ConntrackConstants.CTA_TIMEOUT:
                    valid = BinaryPrimitives.TryReadUInt32BigEndian(value, out timeout);
                    break;
                case ConntrackConstants.CTA_ID:
                    valid = BinaryPrimitives.TryReadUInt32BigEndian(value, out id);
                    break;
                case ConntrackConstants.CTA_COUNTERS_ORIG:
                    hasCounters = true;
                    valid = TryReadPair(value, out sent.Packets, out sent.Bytes);
                    break;
                case ConntrackConstants.CTA_COUNTERS_REPLY:
                    hasCounters = true;
                    valid = TryReadPair(value, out received.Packets, out received.Bytes);
                    break;
                case ConntrackConstants.CTA_TIMESTAMP:
                    valid = TryReadPair(value, out start, out stop);
                    break;
                case ConntrackConstants.CTA_PROTOINFO:
                    valid = TryReadTcpState(value, out tcpState);
                    break;
                default:
                    break; // mark, zone, labels, or a newer kernel's
            }

            if (!valid)
            {
                return OperationStatus.InvalidData;
            }
        }

        if (attributes.IsMalformed || original.Source.IsEmpty)
        {
            return OperationStatus.InvalidData;
        }

        record = new FlowRecord
        {
            Change = change,
            Family = family,
            Original = original,
            Reply = reply,
            Status = status,
            Id = id,
            TimeoutSeconds = timeout,
            TcpState = tcpState,
            HasCounters = hasCounters,
            OriginalPackets = sent.Packets,
            OriginalBytes = sent.Bytes,
            ReplyPackets = received.Packets,
            ReplyBytes = received.Bytes,
            StartNanoseconds = start,
            StopNanoseconds = stop,
        };
        return OperationStatus.Done;
    }

    // Counters (packets 1, bytes 2) and timestamps (start 1, stop 2) have the same shape.
    private static bool TryReadPair(ReadOnlySpan<byte> nested, out ulong first, out ulong second)
    {
        first = 0;
        second = 0;
        var attributes = new NetlinkAttributeReader(nested);
        while (attributes.TryRead())
        {
            bool valid = attributes.Type switch
            {
                1 => BinaryPrimitives.TryReadUInt64BigEndian(attributes.Value, out first),
                2 => BinaryPrimitives.TryReadUInt64BigEndian(attributes.Value, out second),
                _ => true,
            };
            if (!valid)
            {
                return false;
            }
        }

        return !attributes.IsMalformed;
    }

    private static bool TryReadTcpState(ReadOnlySpan<byte> nested, out byte state)
    {
        state = 0;
        var protocols = new NetlinkAttributeReader(nested);
        while (protocols.TryRead())
        {
            if (protocols.Type != ConntrackConstants.CTA_PROTOINFO_TCP)
            {
                continue;
            }

            var attributes = new NetlinkAttributeReader(protocols.Value);
            while (attributes.TryRead())
            {
                if (attributes.Type == ConntrackConstants.CTA_PROTOINFO_TCP_STATE && !attributes.Value.IsEmpty)
                {
                    state = attributes.Value[0];
                }
            }

            if (attributes.IsMalformed)
            {
                return false;
            }
        }

        return !protocols.IsMalformed;
    }

    private struct Counters
    {
        public ulong Packets;
        public ulong Bytes;
    }
}
