using System.Buffers.Binary;
using ImageSentinel.Kernel.Netlink;
using ImageSentinel.Kernel.Numbers;

namespace ImageSentinel.Kernel.Conntrack;

/// <summary>One direction of a flow. Addresses are 4 or 16 bytes in network order and point into the message.</summary>
public readonly ref struct FlowTuple
{
    public ReadOnlySpan<byte> Source { get; private init; }

    public ReadOnlySpan<byte> Destination { get; private init; }

    /// <summary><c>IPPROTO_*</c>.</summary>
    public byte Protocol { get; private init; }

    /// <summary>Zero for protocols without ports; the identifier of an ICMP query.</summary>
    public ushort SourcePort { get; private init; }

    /// <summary>Zero for protocols without ports.</summary>
    public ushort DestinationPort { get; private init; }

    public byte IcmpType { get; private init; }

    public byte IcmpCode { get; private init; }

    internal static bool TryParse(ReadOnlySpan<byte> nested, out FlowTuple tuple)
    {
        tuple = default;
        ReadOnlySpan<byte> source = default, destination = default;
        Ports ports = default;

        var attributes = new NetlinkAttributeReader(nested);
        while (attributes.TryRead())
        {
            bool valid = attributes.Type switch
            {
                ConntrackConstants.CTA_TUPLE_IP => TryReadAddresses(attributes.Value, ref source, ref destination),
                ConntrackConstants.CTA_TUPLE_PROTO => TryReadPorts(attributes.Value, ref ports),
                _ => true,
            };
            if (!valid)
            {
                return false;
            }
        }

        if (attributes.IsMalformed || source.IsEmpty || source.Length != destination.Length)
        {
            return false;
        }

        tuple = new FlowTuple
        {
            Source = source,
            Destination = destination,
            Protocol = ports.Protocol,
            SourcePort = ports.Source,
            DestinationPort = ports.Destination,
            IcmpType = ports.Type,
            IcmpCode = ports.Code,
        };
        return true;
    }

    private static bool TryReadAddresses(
        ReadOnlySpan<byte> nested,
        ref ReadOnlySpan<byte> source,
        ref ReadOnlySpan<byte> destination)
    {
        var attributes = new NetlinkAttributeReader(nested);
        while (attributes.TryRead())
        {
            int length = attributes.Type switch
            {
                ConntrackConstants.CTA_IP_V4_SRC or ConntrackConstants.CTA_IP_V4_DST => 4,
                ConntrackConstants.CTA_IP_V6_SRC or ConntrackConstants.CTA_IP_V6_DST => 16,
                _ => 0,
            };
            if (length == 0)
            {
                continue;
            }

            if (attributes.Value.Length != length)
            {
                return false;
            }

            if (attributes.Type is ConntrackConstants.CTA_IP_V4_SRC or ConntrackConstants.CTA_IP_V6_SRC)
            {
                source = attributes.Value;
            }
            else
            {
                destination = attributes.Value;
            }
        }

        return !attributes.IsMalformed;
    }

    private static bool TryReadPorts(ReadOnlySpan<byte> nested, ref Ports ports)
    {
        var attributes = new NetlinkAttributeReader(nested);
        while (attributes.TryRead())
        {
            ReadOnlySpan<byte> value = attributes.Value;
            bool valid = !value.IsEmpty || attributes.Type > ConntrackConstants.CTA_PROTO_ICMPV6_CODE;
            if (!valid)
            {
                return false;
            }

            switch (attributes.Type)
            {
                case ConntrackConstants.CTA_PROTO_NUM:
                    ports.Protocol = value[0];
                    break;
                case ConntrackConstants.CTA_PROTO_SRC_PORT
                    or ConntrackConstants.CTA_PROTO_ICMP_ID
                    or ConntrackConstants.CTA_PROTO_ICMPV6_ID:
                    valid = BinaryPrimitives.TryReadUInt16BigEndian(value, out ports.Source);
                    break;
                case ConntrackConstants.CTA_PROTO_DST_PORT:
                    valid = BinaryPrimitives.TryReadUInt16BigEndian(value, out ports.Destination);
                    break;
                case ConntrackConstants.CTA_PROTO_ICMP_TYPE or ConntrackConstants.CTA_PROTO_ICMPV6_TYPE:
                    ports.Type = value[0];
                    break;
                case ConntrackConstants.CTA_PROTO_ICMP_CODE or ConntrackConstants.CTA_PROTO_ICMPV6_CODE:
                    ports.Code = value[0];
                    break;
                default:
                    break;
            }

            if (!valid)
            {
                return false;
            }
        }

        return !attributes.IsMalformed;
    }

    private struct Ports
    {
        public ushort Source;
        public ushort Destination;
        public byte Protocol;
        public byte Type;
        public byte Code;
    }
}
