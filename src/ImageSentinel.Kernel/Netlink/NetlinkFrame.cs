using System.Buffers;
using System.Buffers.Binary;

namespace ImageSentinel.Kernel.Netlink;

/// <summary>One netlink message: the 16-byte <c>nlmsghdr</c> and its payload, still in the buffer it was read into.</summary>
/// <remarks>Layout: <c>linux/netlink.h</c>; all numbers in host byte order, which is little endian on every supported machine.</remarks>
public readonly ref struct NetlinkFrame
{
    /// <summary>Size of <c>struct nlmsghdr</c> in bytes.</summary>
    public const int HeaderSize = 16;

    internal NetlinkFrame(ReadOnlySpan<byte> header, ReadOnlySpan<byte> payload)
    {
        DeclaredLength = BinaryPrimitives.ReadUInt32LittleEndian(header);
        Type = BinaryPrimitives.ReadUInt16LittleEndian(header[4..]);
        Flags = BinaryPrimitives.ReadUInt16LittleEndian(header[6..]);
        Sequence = BinaryPrimitives.ReadUInt32LittleEndian(header[8..]);
        PortId = BinaryPrimitives.ReadUInt32LittleEndian(header[12..]);
        Payload = payload;
    }

    /// <summary><c>nlmsg_len</c> as sent; for audit records not to be trusted, see <see cref="TryReadAudit"/>.</summary>
    public uint DeclaredLength { get; }

    public ushort Type { get; }

    public ushort Flags { get; }

    public uint Sequence { get; }

    /// <summary><c>nlmsg_pid</c>. Says nothing about the sender: that is the source address of the datagram.</summary>
    public uint PortId { get; }

    public ReadOnlySpan<byte> Payload { get; }

    /// <summary>Reads a datagram of the audit family, which carries exactly one message.</summary>
    /// <remarks>
    /// The kernel fills <c>nlmsg_len</c> of a unicast audit record with the length of the payload alone, 16 too small;
    /// a multicast record and every reply carry the true length. So the datagram decides where the payload ends, and a
    /// declared length that is neither is refused.
    /// </remarks>
    public static OperationStatus TryReadAudit(ReadOnlySpan<byte> datagram, out NetlinkFrame frame)
    {
        frame = default;
        if (datagram.Length < HeaderSize)
        {
            return OperationStatus.NeedMoreData;
        }

        long declared = BinaryPrimitives.ReadUInt32LittleEndian(datagram);
        bool known = declared == datagram.Length
            || declared + HeaderSize == datagram.Length
            || (declared >= HeaderSize && Align(declared) == datagram.Length);
        if (!known)
        {
            return OperationStatus.InvalidData;
        }

        int end = declared + HeaderSize == datagram.Length ? datagram.Length : (int)declared;
        frame = new NetlinkFrame(datagram, datagram[HeaderSize..end]);
        return OperationStatus.Done;
    }

    /// <summary>Writes a header for a message of <paramref name="payloadLength"/> bytes and returns the message's length.</summary>
    /// <exception cref="ArgumentException">The buffer is shorter than header and payload.</exception>
    public static int WriteHeader(Span<byte> message, ushort type, ushort flags, uint sequence, int payloadLength)
    {
        int length = HeaderSize + payloadLength;
        ArgumentOutOfRangeException.ThrowIfNegative(payloadLength);
        ArgumentOutOfRangeException.ThrowIfLessThan(message.Length, length);

        BinaryPrimitives.WriteUInt32LittleEndian(message, (uint)length);
        BinaryPrimitives.WriteUInt16LittleEndian(message[4..], type);
        BinaryPrimitives.WriteUInt16LittleEndian(message[6..], flags);
        BinaryPrimitives.WriteUInt32LittleEndian(message[8..], sequence);
        BinaryPrimitives.WriteUInt32LittleEndian(message[12..], 0); // 0 asks the kernel to fill in our port
        return length;
    }

    internal static long Align(long length) => (length + 3) & ~3L;
}
