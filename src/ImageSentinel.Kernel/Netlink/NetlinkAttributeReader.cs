using System.Buffers.Binary;
using ImageSentinel.Kernel.Numbers;

namespace ImageSentinel.Kernel.Netlink;

/// <summary>Walks <c>struct nlattr</c> attributes: length u16, type u16, value, padded to four bytes.</summary>
/// <remarks>Unknown types are for the caller to skip; a length beyond the bytes at hand ends the walk.</remarks>
public ref struct NetlinkAttributeReader(ReadOnlySpan<byte> attributes)
{
    private const int HeaderSize = 4;

    private ReadOnlySpan<byte> _rest = attributes;

    /// <summary>Attribute type without the nested and byte-order flags.</summary>
    public ushort Type { get; private set; }

    public bool IsNested { get; private set; }

    public ReadOnlySpan<byte> Value { get; private set; }

    /// <summary>True once a declared length contradicted the bytes at hand.</summary>
    public bool IsMalformed { get; private set; }

    public bool TryRead()
    {
        if (_rest.IsEmpty)
        {
            return false;
        }

        if (_rest.Length < HeaderSize)
        {
            return Refuse();
        }

        ushort length = BinaryPrimitives.ReadUInt16LittleEndian(_rest);
        ushort type = BinaryPrimitives.ReadUInt16LittleEndian(_rest[2..]);
        if (length < HeaderSize || length > _rest.Length)
        {
            return Refuse();
        }

        IsNested = (type & NetlinkConstants.NLA_F_NESTED) != 0;
        Type = (ushort)(type & ~(NetlinkConstants.NLA_F_NESTED | NetlinkConstants.NLA_F_NET_BYTEORDER));
        Value = _rest[HeaderSize..length];
        _rest = _rest[(int)Math.Min(NetlinkFrame.Align(length), _rest.Length)..];
        return true;
    }

    private bool Refuse()
    {
        IsMalformed = true;
        _rest = default;
        Value = default;
        return false;
    }
}
