using System.Buffers;
using System.Buffers.Binary;

namespace ImageSentinel.Kernel.Packets;

/// <summary>The name a TLS client asks for in its first message, which is not encrypted.</summary>
/// <remarks>RFC 8446 4.1.2 and 5.1, RFC 6066 3. With an encrypted ClientHello (RFC 9849) the name told is that of the
/// provider's front, and <see cref="IsEncrypted"/> says so.</remarks>
public readonly ref struct ClientHello
{
    /// <summary>Longest stream that is looked at. Hellos with post-quantum key shares have about 1,900 bytes.</summary>
    public const int MaximumStream = 8192;

    private const byte Handshake = 22;
    private const byte ClientHelloType = 1;
    private const int RecordHeader = 5;
    private const int MaximumRecord = 16384 + 2048;
    private const ushort ServerName = 0;
    private const ushort EncryptedClientHello = 0xFE0D;

    private ClientHello(ReadOnlySpan<byte> name, bool encrypted)
    {
        Name = name;
        IsEncrypted = encrypted;
    }

    /// <summary>ASCII, as sent; empty when the client named none.</summary>
    public ReadOnlySpan<byte> Name { get; }

    public bool IsEncrypted { get; }

    /// <summary>Could these bytes begin a ClientHello?</summary>
    public static bool MayBegin(ReadOnlySpan<byte> stream) => stream is [Handshake, 3, ..];

    /// <param name="stream">The first bytes a client sent on a connection.</param>
    /// <param name="scratch">At least <see cref="MaximumStream"/> bytes: a hello may be cut into several records.</param>
    /// <param name="hello">A view into <paramref name="stream"/> or <paramref name="scratch"/>.</param>
    /// <returns>NeedMoreData when it goes on behind what is there; InvalidData when it is none.</returns>
    public static OperationStatus TryParse(ReadOnlySpan<byte> stream, Span<byte> scratch, out ClientHello hello)
    {
        hello = default;
        stream = stream[..Math.Min(stream.Length, MaximumStream)];
        int length = 0;
        ReadOnlySpan<byte> message = default;
        for (ReadOnlySpan<byte> rest = stream; ;)
        {
            if (rest.Length < RecordHeader)
            {
                break;
            }

            int size = BinaryPrimitives.ReadUInt16BigEndian(rest[3..]);
            if (rest[0] != Handshake || rest[1] != 3 || size is 0 or > MaximumRecord)
            {
                // What follows a whole hello is judged by that; in front of its end it is damage.
                return OperationStatus.InvalidData;
            }

            ReadOnlySpan<byte> body = rest.Slice(RecordHeader, Math.Min(size, rest.Length - RecordHeader));
            bool first = length == 0;
            if (first)
            {
                message = body;
            }
            else
            {
                message = scratch[..(length + body.Length)];
            }

            body.CopyTo(scratch[length..]);
            length += body.Length;
            OperationStatus status = TryParseMessage(message, out hello);
            if (status != OperationStatus.NeedMoreData || body.Length < size)
            {
                return status;
            }

            rest = rest[(RecordHeader + size)..];
        }

        return stream.Length < RecordHeader && !MayBegin(stream) && stream.Length >= 2 ? OperationStatus.InvalidData : OperationStatus.NeedMoreData;
    }

    private static OperationStatus TryParseMessage(ReadOnlySpan<byte> message, out ClientHello hello)
    {
        hello = default;
        if (message.IsEmpty)
        {
            return OperationStatus.NeedMoreData;
        }

        if (message[0] != ClientHelloType)
        {
            return OperationStatus.InvalidData;
        }

        if (message.Length < 4)
        {
            return OperationStatus.NeedMoreData;
        }

        int length = (message[1] << 16) | BinaryPrimitives.ReadUInt16BigEndian(message[2..]);
        bool whole = message.Length >= 4 + length;
        ReadOnlySpan<byte> rest = message[4..];
        rest = whole ? rest[..length] : rest;

        // What ends too early is damage in a whole message, and not yet there in a cut one.
        OperationStatus tooShort = whole ? OperationStatus.InvalidData : OperationStatus.NeedMoreData;
        if (!TrySkip(ref rest, 2 + 32) || !TrySkipVector(ref rest, 1) || !TrySkipVector(ref rest, 2) || !TrySkipVector(ref rest, 1))
        {
            return tooShort;
        }

        if (rest.IsEmpty && whole)
        {
            // Extensions are optional before TLS 1.3.
            return OperationStatus.Done;
        }

        return rest.Length < 2 ? tooShort : TryFindName(rest[2..], whole, tooShort, out hello);
    }

    private static OperationStatus TryFindName(ReadOnlySpan<byte> extensions, bool whole, OperationStatus tooShort, out ClientHello hello)
    {
        ReadOnlySpan<byte> name = default;
        bool encrypted = false;
        hello = default;
        while (extensions.Length >= 4)
        {
            ushort type = BinaryPrimitives.ReadUInt16BigEndian(extensions);
            int size = BinaryPrimitives.ReadUInt16BigEndian(extensions[2..]);
            if (size > extensions.Length - 4)
            {
                break;
            }

            ReadOnlySpan<byte> body = extensions.Slice(4, size);
            if (type == ServerName && !TryReadName(body, out name))
            {
                return OperationStatus.InvalidData;
            }

            encrypted |= type == EncryptedClientHello;
            extensions = extensions[(4 + size)..];
        }

        if (!extensions.IsEmpty || !whole)
        {
            // Cut behind the name is good enough for the name.
            if (name.IsEmpty)
            {
                return tooShort;
            }
        }

        hello = new ClientHello(name, encrypted);
        return OperationStatus.Done;
    }

    // ServerNameList: u16 length, then entries of u8 type (0: host name), u16 length, bytes.
    private static bool TryReadName(ReadOnlySpan<byte> body, out ReadOnlySpan<byte> name)
    {
        name = default;
        if (body.Length < 5 || body[2] != 0)
        {
            return false;
        }

        int size = BinaryPrimitives.ReadUInt16BigEndian(body[3..]);
        if (size is 0 or > 255 || size > body.Length - 5)
        {
            return false;
        }

        name = body.Slice(5, size);
        return true;
    }

    private static bool TrySkip(ref ReadOnlySpan<byte> rest, int count)
    {
        if (rest.Length < count)
        {
            return false;
        }

        rest = rest[count..];
        return true;
    }

    private static bool TrySkipVector(ref ReadOnlySpan<byte> rest, int lengthBytes)
    {
        if (rest.Length < lengthBytes)
        {
            return false;
        }

        int size = lengthBytes == 1 ? rest[0] : BinaryPrimitives.ReadUInt16BigEndian(rest);
        return TrySkip(ref rest, lengthBytes + size);
    }
}
