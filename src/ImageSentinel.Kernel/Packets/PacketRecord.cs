using System.Buffers;
using System.Buffers.Binary;

namespace ImageSentinel.Kernel.Packets;

/// <summary>Which way a packet passed the interface it was captured on (<c>PACKET_*</c> of linux/if_packet.h).</summary>
public enum PacketDirection : byte
{
    ToHost = 0,
    Broadcast = 1,
    Multicast = 2,
    ToOther = 3,
    Outgoing = 4,
}

/// <summary>What the interface is to containers.</summary>
public enum InterfaceRole : byte
{
    Unknown = 0,

    /// <summary>Its ports are containers: what comes in here may be anything a container makes up.</summary>
    Bridge = 1,

    /// <summary>A container's end of a bridge.</summary>
    BridgePort = 2,

    /// <summary>The way out of the host, or its loopback.</summary>
    Uplink = 3,
}

/// <summary>A captured packet as the names sensor frames it: eight bytes of our own, then the network header.</summary>
/// <remarks>u8 direction, u8 role of the interface, u16 link-layer protocol, u32 interface index; little endian.</remarks>
public readonly ref struct PacketRecord
{
    public const int HeaderSize = 8;

    private PacketRecord(PacketDirection direction, InterfaceRole role, ushort etherType, uint interfaceIndex, ReadOnlySpan<byte> packet)
    {
        Direction = direction;
        Role = role;
        EtherType = etherType;
        InterfaceIndex = interfaceIndex;
        Packet = packet;
    }

    public PacketDirection Direction { get; }

    public InterfaceRole Role { get; }

    public ushort EtherType { get; }

    public uint InterfaceIndex { get; }

    public ReadOnlySpan<byte> Packet { get; }

    public static OperationStatus TryParse(ReadOnlySpan<byte> bytes, out PacketRecord record)
    {
        record = default;
        if (bytes.Length < HeaderSize)
        {
            return OperationStatus.NeedMoreData;
        }

        if (bytes[0] > (byte)PacketDirection.Outgoing || bytes[1] > (byte)InterfaceRole.Uplink)
        {
            return OperationStatus.InvalidData;
        }

        record = new PacketRecord(
            (PacketDirection)bytes[0],
            (InterfaceRole)bytes[1],
            BinaryPrimitives.ReadUInt16LittleEndian(bytes[2..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]),
            bytes[HeaderSize..]);
        return OperationStatus.Done;
    }
}
