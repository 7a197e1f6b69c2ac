using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Hashing;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Sensors.Replay;

/// <summary>Writes the sensor stream to a file that <see cref="CaptureReader"/> reads back item by item.</summary>
/// <remarks>
/// Layout, little endian: magic "ISCAPTUR", version u32; then blocks of { compressed length u32, plain length u32, xxHash3
/// of the plain bytes u64, Brotli bytes }; last a block with both lengths 0 whose hash field counts the items. A file that
/// does not end so was cut. Owns the stream. Not thread safe.
/// </remarks>
public sealed class CaptureWriter : IDisposable
{
    public const uint Version = 1;

    internal const int ItemHeaderSize = 1 + 8 + 8 + 8 + 4;
    internal const int BlockSize = 256 * 1024;

    private readonly System.IO.Stream _file;
    private readonly ArrayBufferWriter<byte> _block = new(BlockSize + 65536);
    private ulong _items;
    private bool _closed;

    public CaptureWriter(System.IO.Stream file)
    {
        _file = file;
        Span<byte> header = stackalloc byte[12];
        "ISCAPTUR"u8.CopyTo(header);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], Version);
        _file.Write(header);
    }

    /// <summary>Items written so far.</summary>
    public long Items => (long)_items;

    public void Write(in SensorItem item)
    {
        Span<byte> header = _block.GetSpan(ItemHeaderSize);
        header[0] = (byte)item.Kind;
        BinaryPrimitives.WriteInt64LittleEndian(header[1..], item.BootNanoseconds);
        BinaryPrimitives.WriteInt64LittleEndian(header[9..], item.WallNanoseconds);
        BinaryPrimitives.WriteInt64LittleEndian(header[17..], item.LostBefore);
        BinaryPrimitives.WriteInt32LittleEndian(header[25..], item.Length);
        _block.Advance(ItemHeaderSize);
        _block.Write(item.Span);
        _items++;
        if (_block.WrittenCount >= BlockSize)
        {
            WriteBlock();
        }
    }

    /// <summary>Writes what is pending and the end mark.</summary>
    public void Dispose()
    {
        if (_closed)
        {
            return;
        }

        _closed = true;
        WriteBlock();
        WriteHeader(0, 0, _items);
        _file.Dispose();
    }

    private void WriteBlock()
    {
        if (_block.WrittenCount == 0)
        {
            return;
        }

        byte[] compressed = ArrayPool<byte>.Shared.Rent(BrotliEncoder.GetMaxCompressedLength(_block.WrittenCount));
        if (!BrotliEncoder.TryCompress(_block.WrittenSpan, compressed, out int written, quality: 4, window: 22))
        {
            throw new InvalidOperationException("a capture block did not fit its own bound");
        }

        WriteHeader(written, _block.WrittenCount, XxHash3.HashToUInt64(_block.WrittenSpan));
        _file.Write(compressed, 0, written);
        ArrayPool<byte>.Shared.Return(compressed);
        _block.ResetWrittenCount();
    }

    private void WriteHeader(int compressed, int plain, ulong check)
    {
        Span<byte> header = stackalloc byte[16];
        BinaryPrimitives.WriteInt32LittleEndian(header, compressed);
        BinaryPrimitives.WriteInt32LittleEndian(header[4..], plain);
        BinaryPrimitives.WriteUInt64LittleEndian(header[8..], check);
        _file.Write(header);
    }
}
