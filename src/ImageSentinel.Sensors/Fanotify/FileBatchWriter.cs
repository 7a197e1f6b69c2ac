using System.Buffers;
using ImageSentinel.Sensors.Reading;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Sensors.Fanotify;

/// <summary>Gathers file events into items for the queue. One thread.</summary>
internal sealed class FileBatchWriter(ISensorQueue queue, LossLedger ledger)
{
    private const int BatchSize = 16 * 1024;

    private byte[]? _buffer;
    private int _length;
    private int _records;
    private long _boot;
    private long _wall;
    private bool _holePending;

    /// <summary>The moment that the events written from now on were read at. Call after <see cref="Flush"/>.</summary>
    public void At(long bootNanoseconds, long wallNanoseconds)
    {
        _boot = bootNanoseconds;
        _wall = wallNanoseconds;
    }

    public void Write(ulong mask, int pid, long startNanoseconds, byte engine, ReadOnlySpan<byte> directory, ReadOnlySpan<byte> name)
    {
        if (_buffer is not null && _buffer.Length - _length < FileEventCodec.MaxSize)
        {
            Flush();
        }

        _buffer ??= ArrayPool<byte>.Shared.Rent(BatchSize);
        int written = FileEventCodec.Write(_buffer.AsSpan(_length), mask, pid, startNanoseconds, engine, directory, name);
        if (written == 0)
        {
            // Longer than any path the kernel can make.
            ledger.Moved(1, queued: false);
            return;
        }

        _length += written;
        _records++;
    }

    /// <summary>The kernel dropped events here.</summary>
    public void Hole()
    {
        Flush();
        _holePending = true;
    }

    public void Flush()
    {
        if (_records == 0 && !_holePending)
        {
            return;
        }

        byte[] buffer = _buffer ?? [];
        var item = new SensorItem(
            SensorKind.Files, _boot, _wall, buffer, _length, Pooled: _buffer is not null, LostBefore: _holePending ? -1 : 0);
        ledger.Moved(_records, queue.TryWrite(item, _records));
        _buffer = null;
        _length = 0;
        _records = 0;
        _holePending = false;
    }
}
