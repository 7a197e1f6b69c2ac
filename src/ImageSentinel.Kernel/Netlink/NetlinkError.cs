using System.Buffers;
using System.Buffers.Binary;
using ImageSentinel.Kernel.Numbers;

namespace ImageSentinel.Kernel.Netlink;

/// <summary>The kernel's answer to a request: an acknowledgement, or why it was refused.</summary>
/// <remarks><c>struct nlmsgerr</c>: a negative errno, then the header of the request it answers.</remarks>
public readonly ref struct NetlinkError
{
    private NetlinkError(int errno, ushort requestType, uint requestSequence, ReadOnlySpan<byte> message)
    {
        Errno = errno;
        RequestType = requestType;
        RequestSequence = requestSequence;
        Message = message;
    }

    /// <summary>Positive errno; zero is the acknowledgement.</summary>
    public int Errno { get; }

    public bool IsAcknowledgement => Errno == 0;

    public ushort RequestType { get; }

    public uint RequestSequence { get; }

    /// <summary>The kernel's explanation when extended acknowledgements are on, else empty. Without its NUL.</summary>
    public ReadOnlySpan<byte> Message { get; }

    public static OperationStatus TryParse(scoped in NetlinkFrame frame, out NetlinkError error)
    {
        error = default;
        if (frame.Type != NetlinkConstants.NLMSG_ERROR)
        {
            return OperationStatus.InvalidData;
        }

        const int fixedSize = sizeof(int) + NetlinkFrame.HeaderSize;
        ReadOnlySpan<byte> payload = frame.Payload;
        if (payload.Length < fixedSize)
        {
            return OperationStatus.NeedMoreData;
        }

        int negative = BinaryPrimitives.ReadInt32LittleEndian(payload);
        if (negative is > 0 or int.MinValue)
        {
            return OperationStatus.InvalidData;
        }

        ReadOnlySpan<byte> request = payload[sizeof(int)..];
        error = new NetlinkError(
            -negative,
            BinaryPrimitives.ReadUInt16LittleEndian(request[4..]),
            BinaryPrimitives.ReadUInt32LittleEndian(request[8..]),
            FindMessage(frame.Flags, payload));
        return OperationStatus.Done;
    }

    // Attributes follow the echoed request: its header alone when capped, else all of it.
    private static ReadOnlySpan<byte> FindMessage(ushort flags, ReadOnlySpan<byte> payload)
    {
        if ((flags & NetlinkConstants.NLM_F_ACK_TLVS) == 0)
        {
            return default;
        }

        long echoed = (flags & NetlinkConstants.NLM_F_CAPPED) != 0
            ? NetlinkFrame.HeaderSize
            : BinaryPrimitives.ReadUInt32LittleEndian(payload[sizeof(int)..]);
        long start = sizeof(int) + NetlinkFrame.Align(echoed);
        if (start > payload.Length)
        {
            return default;
        }

        var attributes = new NetlinkAttributeReader(payload[(int)start..]);
        while (attributes.TryRead())
        {
            if (attributes.Type == NetlinkConstants.NLMSGERR_ATTR_MSG)
            {
                return attributes.Value.TrimEnd((byte)0);
            }
        }

        return default;
    }
}
