using System.Buffers.Binary;

namespace ImageSentinel.Kernel.Netlink;

/// <summary>Walks the messages of one datagram of any family but audit (see <see cref="NetlinkFrame.TryReadAudit"/>).</summary>
public ref struct NetlinkFrameReader(ReadOnlySpan<byte> datagram)
{
    private ReadOnlySpan<byte> _rest = datagram;

    /// <summary>True once a declared length contradicted the datagram; what came before it stays valid.</summary>
    public bool IsMalformed { get; private set; }

    public bool TryRead(out NetlinkFrame frame)
    {
        frame = default;
        if (_rest.IsEmpty)
        {
            return false;
        }

        if (_rest.Length < NetlinkFrame.HeaderSize)
        {
            return Refuse();
        }

        uint declared = BinaryPrimitives.ReadUInt32LittleEndian(_rest);
        if (declared < NetlinkFrame.HeaderSize || declared > (uint)_rest.Length)
        {
            return Refuse();
        }

        frame = new NetlinkFrame(_rest, _rest[NetlinkFrame.HeaderSize..(int)declared]);

        // The last message of a datagram may lack its padding: conntrack sends such frames.
        _rest = _rest[(int)Math.Min(NetlinkFrame.Align(declared), _rest.Length)..];
        return true;
    }

    private bool Refuse()
    {
        IsMalformed = true;
        _rest = default;
        return false;
    }
}
