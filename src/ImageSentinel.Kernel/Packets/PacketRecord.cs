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

/// <summary>A captured packet as the names sensor frames it: eight bytes of our own, then the network header.</summary>
/// <remarks>u8 direction, u8 zero, u16 link-layer protocol, u32 interface index; little endian.</remarks>
public readonly ref struct PacketRecord
{
    public const int HeaderSize = 8;

    private PacketRecord(PacketDirection direction, ushort etherType, uint interfaceIndex, ReadOnlySpan<byte> packet)
    {
        Direction = direction;
        EtherType = etherType;
        InterfaceIndex = interfaceIndex;
        Packet = packet;
    }

    public PacketDirection Direction { get; }

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

        if (bytes[0] > (byte)PacketDirection.Outgoing)
        {
            return OperationStatus.InvalidData;
        }

        record = new PacketRecord(
            (PacketDirection)bytes[0],
            BinaryPrimitives.ReadUInt16LittleEndian(bytes[2..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]),
            bytes[HeaderSize..]);
        return OperationStatus.Done;
    }
}
