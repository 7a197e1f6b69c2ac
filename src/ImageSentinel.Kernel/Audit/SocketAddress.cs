using System.Buffers;
using System.Buffers.Binary;
using ImageSentinel.Kernel.Numbers;

namespace ImageSentinel.Kernel.Audit;

/// <summary>What a socket address names.</summary>
public enum SocketAddressKind
{
    /// <summary>A family that is not decoded; <see cref="SocketAddress.Family"/> tells which.</summary>
    Other = 0,
    InternetV4,
    InternetV6,

    /// <summary>Family 0. <c>sendto</c> on an IPv4 datagram socket delivers it as IPv4; <c>connect</c> dissolves an
    /// association with it. Address and port are those an IPv4 address would have, if the bytes reach that far.</summary>
    Unspecified,
    UnixPath,
    UnixAbstract,

    /// <summary>A Unix socket without a name: what accept reports for an ordinary client.</summary>
    UnixUnnamed,
    Netlink,
    Packet,
    Vsock,
}

/// <summary>A socket address as the caller passed it to the kernel, or as the kernel returned it from accept.</summary>
/// <remarks>
/// Family in host byte order, ports and Internet addresses in network byte order. The spans point into the bytes it
/// was parsed from. An IPv4 address in IPv6 clothes (<c>::ffff:a.b.c.d</c>) is reported as IPv4: it is the same
/// destination, and the packets are IPv4.
/// </remarks>
public readonly ref struct SocketAddress
{
    /// <summary>Size of <c>struct sockaddr_storage</c>: no address is longer.</summary>
    public const int MaxLength = 128;

    /// <summary><c>AF_*</c> as passed; for a mapped address AF_INET6.</summary>
    public ushort Family { get; private init; }

    public SocketAddressKind Kind { get; private init; }

    /// <summary>True when an IPv4 address came as <c>::ffff:a.b.c.d</c>.</summary>
    public bool IsMapped { get; private init; }

    /// <summary>Port for Internet addresses and vsock, protocol for AF_PACKET, else zero.</summary>
    public uint Port { get; private init; }

    /// <summary>4 or 16 bytes in network order; empty when the kind has none.</summary>
    public ReadOnlySpan<byte> Address { get; private init; }

    /// <summary>IPv6 scope, AF_PACKET interface index, vsock context id, or netlink port.</summary>
    public uint Scope { get; private init; }

    /// <summary>Unix path without its NUL, or abstract name without the leading NUL (it may hold any byte).</summary>
    public ReadOnlySpan<byte> Name { get; private init; }

    /// <summary>True when there is an Internet address to reach: IPv4, IPv6, or family 0 with a tuple.</summary>
    public bool IsInternet => !Address.IsEmpty;

    /// <summary>Parses a SOCKADDR record (1306), <c>saddr=0200B187…</c>.</summary>
    /// <param name="fields">The record's fields.</param>
    /// <param name="buffer">Receives the decoded bytes, which <paramref name="address"/> then points into; give it
    /// <see cref="MaxLength"/> bytes.</param>
    /// <param name="address">The address.</param>
    public static OperationStatus TryParseRecord(ReadOnlySpan<byte> fields, Span<byte> buffer, out SocketAddress address)
    {
        address = default;
        var reader = new AuditFieldReader(fields);
        while (reader.TryRead())
        {
            if (reader.KeyWord == AuditKey.Saddr)
            {
                OperationStatus status = AuditValue.DecodeHex(reader.Value, buffer, out int length);
                return status == OperationStatus.Done ? TryParse(buffer[..length], out address) : status;
            }
        }

        return OperationStatus.InvalidData;
    }

    /// <summary>Parses the bytes of a <c>struct sockaddr</c>.</summary>
    /// <returns>NeedMoreData when the bytes end before what the family must have.</returns>
    public static OperationStatus TryParse(ReadOnlySpan<byte> bytes, out SocketAddress address)
    {
        address = default;
        if (bytes.Length < sizeof(ushort))
        {
            return OperationStatus.NeedMoreData;
        }

        ushort family = BinaryPrimitives.ReadUInt16LittleEndian(bytes);
        switch (family)
        {
            case SocketConstants.AF_INET:
                if (bytes.Length < 8)
                {
                    return OperationStatus.NeedMoreData;
                }

                address = InternetV4(family, SocketAddressKind.InternetV4, bytes);
                return OperationStatus.Done;

            case SocketConstants.AF_UNSPEC:
                address = bytes.Length < 8
                    ? new SocketAddress { Family = family, Kind = SocketAddressKind.Unspecified }
                    : InternetV4(family, SocketAddressKind.Unspecified, bytes);
                return OperationStatus.Done;

            case SocketConstants.AF_INET6:
                return TryParseInternetV6(bytes, out address);

            case SocketConstants.AF_UNIX:
                address = Unix(bytes[sizeof(ushort)..]);
                return OperationStatus.Done;

            case SocketConstants.AF_NETLINK when bytes.Length >= 12:
                address = new SocketAddress
                {
                    Family = family,
                    Kind = SocketAddressKind.Netlink,
                    Scope = BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]),
                };
                return OperationStatus.Done;

            case SocketConstants.AF_PACKET when bytes.Length >= 8:
                address = new SocketAddress
                {
                    Family = family,
                    Kind = SocketAddressKind.Packet,
                    Port = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]),
                    Scope = BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]),
                };
                return OperationStatus.Done;

            case SocketConstants.AF_VSOCK when bytes.Length >= 12:
                address = new SocketAddress
                {
                    Family = family,
                    Kind = SocketAddressKind.Vsock,
                    Port = BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]),
                    Scope = BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]),
                };
                return OperationStatus.Done;

            case SocketConstants.AF_NETLINK or SocketConstants.AF_PACKET or SocketConstants.AF_VSOCK:
                return OperationStatus.NeedMoreData;

            default:
                address = new SocketAddress { Family = family, Kind = SocketAddressKind.Other };
                return OperationStatus.Done;
        }
    }

    private static SocketAddress InternetV4(ushort family, SocketAddressKind kind, ReadOnlySpan<byte> bytes) => new()
    {
        Family = family,
        Kind = kind,
        Port = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]),
        Address = bytes.Slice(4, 4),
    };

    // The kernel takes 24 bytes for enough (SIN6_LEN_RFC2133); the scope behind them is optional.
    private static OperationStatus TryParseInternetV6(ReadOnlySpan<byte> bytes, out SocketAddress address)
    {
        address = default;
        if (bytes.Length < 24)
        {
            return OperationStatus.NeedMoreData;
        }

        ReadOnlySpan<byte> full = bytes.Slice(8, 16);
        bool mapped = full[..12].SequenceEqual((ReadOnlySpan<byte>)[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
        address = new SocketAddress
        {
            Family = SocketConstants.AF_INET6,
            Kind = mapped ? SocketAddressKind.InternetV4 : SocketAddressKind.InternetV6,
            IsMapped = mapped,
            Port = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]),
            Address = mapped ? full[12..] : full,
            Scope = bytes.Length >= 28 ? BinaryPrimitives.ReadUInt32LittleEndian(bytes[24..]) : 0,
        };
        return OperationStatus.Done;
    }

    private static SocketAddress Unix(ReadOnlySpan<byte> name)
    {
        if (name.IsEmpty)
        {
            return new SocketAddress { Family = SocketConstants.AF_UNIX, Kind = SocketAddressKind.UnixUnnamed };
        }

        if (name[0] == 0)
        {
            return new SocketAddress
            {
                Family = SocketConstants.AF_UNIX,
                Kind = SocketAddressKind.UnixAbstract,
                Name = name[1..],
            };
        }

        // A caller that passes all 110 bytes leaves garbage behind the first NUL.
        int end = name.IndexOf((byte)0);
        return new SocketAddress
        {
            Family = SocketConstants.AF_UNIX,
            Kind = SocketAddressKind.UnixPath,
            Name = end < 0 ? name : name[..end],
        };
    }
}
