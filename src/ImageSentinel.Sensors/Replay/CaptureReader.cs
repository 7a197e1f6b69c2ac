using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Hashing;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Sensors.Replay;

/// <summary>A capture that cannot be read; the message says where and what to do.</summary>
public sealed class CaptureException(string message) : Exception(message);

/// <summary>Reads a capture item by item. Everything in it is checked: a capture may come from a stranger.</summary>
public sealed class CaptureReader : IDisposable
{
    // Larger than any block a writer makes: one fact may be as long as FactCodec allows.
    private const int MaximumPlain = CaptureWriter.BlockSize + FactCodec.MaximumBytes + 4096;

    private readonly System.IO.Stream _file;
    private readonly string _name;
    private byte[] _block = [];
    private int _at;
    private long _position;
    private ulong _items;
    private bool _ended;

    /// <exception cref="CaptureException">The file is no capture, or of a version this program does not know.</exception>
    public CaptureReader(System.IO.Stream file, string name)
    {
        _file = file;
        _name = name;
        Span<byte> header = stackalloc byte[12];
        if (!TryFill(header) || !header.StartsWith("ISCAPTUR"u8))
        {
            throw new CaptureException($"{name}: not an ImageSentinel capture; make one with: imagesentinel record -o FILE");
        }

        uint version = BinaryPrimitives.ReadUInt32LittleEndian(header[8..]);
        if (version != CaptureWriter.Version)
        {
            throw new CaptureException($"{name}: capture format {version}, this program reads format {CaptureWriter.Version}; replay it with the version that recorded it");
        }
    }

    /// <exception cref="CaptureException">The file was cut or damaged; items before that point were given out.</exception>
    public bool TryRead(out SensorItem item)
    {
        item = default;
        if (_at >= _block.Length && !ReadBlock())
        {
            return false;
        }

        ReadOnlySpan<byte> rest = _block.AsSpan(_at);
        int length = rest.Length >= CaptureWriter.ItemHeaderSize ? BinaryPrimitives.ReadInt32LittleEndian(rest[25..]) : -1;
        if (length < 0 || length > rest.Length - CaptureWriter.ItemHeaderSize)
        {
            throw Damaged("an item does not fit its block");
        }

        byte[] bytes = rest.Slice(CaptureWriter.ItemHeaderSize, length).ToArray();
        item = new SensorItem(
            (SensorKind)rest[0],
            BinaryPrimitives.ReadInt64LittleEndian(rest[1..]),
            BinaryPrimitives.ReadInt64LittleEndian(rest[9..]),
            bytes,
            length,
            LostBefore: BinaryPrimitives.ReadInt64LittleEndian(rest[17..]));
        _at += CaptureWriter.ItemHeaderSize + length;
        _items++;
        return true;
    }

    public void Dispose() => _file.Dispose();

    private bool ReadBlock()
    {
        if (_ended)
        {
            return false;
        }

        Span<byte> header = stackalloc byte[16];
        if (!TryFill(header))
        {
            throw Damaged("the end mark is missing: the file was cut");
        }

        int compressed = BinaryPrimitives.ReadInt32LittleEndian(header);
        int plain = BinaryPrimitives.ReadInt32LittleEndian(header[4..]);
        ulong check = BinaryPrimitives.ReadUInt64LittleEndian(header[8..]);
        if (compressed == 0 && plain == 0)
        {
            _ended = true;
            return check == _items ? false : throw Damaged($"it promises {check} items and holds {_items}");
        }

        if (plain <= 0 || plain > MaximumPlain || compressed <= 0 || compressed > BrotliEncoder.GetMaxCompressedLength(plain))
        {
            throw Damaged("a block's lengths contradict each other");
        }

        byte[] bytes = new byte[compressed];
        if (!TryFill(bytes))
        {
            throw Damaged("the file was cut in the middle of a block");
        }

        _block = new byte[plain];
        _at = 0;
        if (!BrotliDecoder.TryDecompress(bytes, _block, out int written) || written != plain || XxHash3.HashToUInt64(_block) != check)
        {
            throw Damaged("a block's checksum does not match");
        }

        return true;
    }

    private CaptureException Damaged(string what)
        => new($"{_name}: damaged near byte {_position}: {what}; record it again");

    private bool TryFill(Span<byte> destination)
    {
        int read = _file.ReadAtLeast(destination, destination.Length, throwOnEndOfStream: false);
        _position += read;
        return read == destination.Length;
    }
}
