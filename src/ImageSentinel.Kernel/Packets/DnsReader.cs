using System.Buffers;
using System.Buffers.Binary;

namespace ImageSentinel.Kernel.Packets;

/// <summary>One resource record of a DNS message; names are offsets, read with <see cref="DnsName"/>.</summary>
public readonly record struct DnsRecord(int Owner, ushort Type, ushort Class, uint Ttl, int DataOffset, int DataLength);

/// <summary>Walks a DNS message (RFC 1035, 4.1): one question, then the answers.</summary>
public ref struct DnsReader
{
    public const ushort TypeA = 1;
    public const ushort TypeCname = 5;
    public const ushort TypeAaaa = 28;
    public const ushort ClassInternet = 1;

    private const int HeaderSize = 12;

    private readonly ReadOnlySpan<byte> _message;
    private int _at;
    private int _answers;

    private DnsReader(ReadOnlySpan<byte> message, int answers)
    {
        _message = message;
        _answers = answers;
        _at = HeaderSize;
        Id = BinaryPrimitives.ReadUInt16BigEndian(message);
        IsResponse = (message[2] & 0x80) != 0;
        ResponseCode = message[3] & 0xF;
    }

    public ushort Id { get; }

    public bool IsResponse { get; }

    /// <summary>0 no error, 3 no such name.</summary>
    public int ResponseCode { get; }

    public readonly ReadOnlySpan<byte> Message => _message;

    /// <summary>Takes a message with one question of the standard kind; what else uses port 53 is refused.</summary>
    public static OperationStatus TryOpen(ReadOnlySpan<byte> message, out DnsReader reader)
    {
        reader = default;
        if (message.Length < HeaderSize)
        {
            return OperationStatus.NeedMoreData;
        }

        int opcode = (message[2] >> 3) & 0xF;
        if (opcode != 0 || BinaryPrimitives.ReadUInt16BigEndian(message[4..]) != 1)
        {
            return OperationStatus.InvalidData;
        }

        reader = new DnsReader(message, BinaryPrimitives.ReadUInt16BigEndian(message[6..]));
        return OperationStatus.Done;
    }

    /// <summary>Call once, first.</summary>
    /// <param name="name">At least <see cref="DnsName.MaximumText"/> characters.</param>
    /// <param name="length">Characters of it used.</param>
    /// <param name="type">What is asked for.</param>
    public OperationStatus TryReadQuestion(Span<char> name, out int length, out ushort type)
    {
        type = 0;
        OperationStatus status = DnsName.TryRead(_message, _at, name, out length, out int next);
        if (status != OperationStatus.Done)
        {
            return status;
        }

        if (next + 4 > _message.Length)
        {
            return OperationStatus.NeedMoreData;
        }

        type = BinaryPrimitives.ReadUInt16BigEndian(_message[next..]);
        _at = next + 4;
        return OperationStatus.Done;
    }

    /// <summary>The next answer; false at the end, and where the message was cut or contradicts itself.</summary>
    public bool TryReadAnswer(out DnsRecord record)
    {
        record = default;
        if (_answers == 0 || !TrySkipName(_at, out int next) || next + 10 > _message.Length)
        {
            _answers = 0;
            return false;
        }

        int length = BinaryPrimitives.ReadUInt16BigEndian(_message[(next + 8)..]);
        if (next + 10 + length > _message.Length)
        {
            _answers = 0;
            return false;
        }

        record = new DnsRecord(
            _at,
            BinaryPrimitives.ReadUInt16BigEndian(_message[next..]),
            BinaryPrimitives.ReadUInt16BigEndian(_message[(next + 2)..]),
            BinaryPrimitives.ReadUInt32BigEndian(_message[(next + 4)..]),
            next + 10,
            length);
        _answers--;
        _at = next + 10 + length;
        return true;
    }

    private readonly bool TrySkipName(int at, out int next)
    {
        next = 0;
        while ((uint)at < (uint)_message.Length)
        {
            byte length = _message[at];
            if (length == 0)
            {
                next = at + 1;
                return true;
            }

            if ((length & 0xC0) == 0xC0)
            {
                next = at + 2;
                return next <= _message.Length;
            }

            if ((length & 0xC0) != 0)
            {
                return false;
            }

            at += length + 1;
        }

        return false;
    }
}
