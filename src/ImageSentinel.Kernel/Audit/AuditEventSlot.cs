using ImageSentinel.Kernel.Numbers;

namespace ImageSentinel.Kernel.Audit;

/// <summary>Holds the records of one event while it is open or waits to be taken. Reused, so it allocates only to grow.</summary>
internal sealed class AuditEventSlot(int index)
{
    private const int InitialBytes = 2048;
    private const int InitialEntries = 16;

    private byte[] _bytes = [];
    private Entry[] _entries = [];
    private int _length;
    private int _count;

    public int Index { get; } = index;

    public uint Serial { get; private set; }

    public long TimestampMilliseconds { get; private set; }

    public long OpenedAt { get; private set; }

    /// <summary>One bit for each type that came; see <see cref="TypeBit"/>.</summary>
    public ulong Types { get; private set; }

    public AuditEventEnd End { get; set; }

    public bool IsTruncated { get; private set; }

    // The list of open slots, oldest first.
    public AuditEventSlot? Older { get; set; }

    public AuditEventSlot? Newer { get; set; }

    public int Capacity => _bytes.Length;

    public int Count => _count;

    public ReadOnlySpan<byte> Bytes => _bytes.AsSpan(0, _length);

    public ReadOnlySpan<Entry> Entries => _entries.AsSpan(0, _count);

    /// <summary>A bit of its own for each type of 1300 to 1362, one shared bit for all others.</summary>
    public static ulong TypeBit(ushort type)
    {
        int bit = type - AuditConstants.AUDIT_SYSCALL;
        return (uint)bit < 63 ? 1UL << bit : 1UL << 63;
    }

    public void Open(uint serial, long timestampMilliseconds, long now)
    {
        Serial = serial;
        TimestampMilliseconds = timestampMilliseconds;
        OpenedAt = now;
        Types = 0;
        End = default;
        IsTruncated = false;
        _length = 0;
        _count = 0;
    }

    /// <summary>Copies a record in; false when the event's bounds do not allow it.</summary>
    public bool TryAppend(ushort type, ReadOnlySpan<byte> fields, int maxBytes, int maxRecords)
    {
        // A command line of megabytes must not push out the records that come after it.
        int limit = type == AuditRecordType.Execve ? maxBytes - (maxBytes / 4) : maxBytes;
        if (fields.Length > limit - _length || _count >= maxRecords)
        {
            IsTruncated = true;
            return false;
        }

        if (_bytes.Length - _length < fields.Length)
        {
            int wanted = Math.Max(InitialBytes, Math.Max(_bytes.Length * 2, _length + fields.Length));
            Array.Resize(ref _bytes, Math.Min(wanted, maxBytes));
        }

        if (_count == _entries.Length)
        {
            Array.Resize(ref _entries, Math.Max(InitialEntries, _count * 2));
        }

        fields.CopyTo(_bytes.AsSpan(_length));
        _entries[_count++] = new Entry(type, _length, fields.Length);
        _length += fields.Length;
        Types |= TypeBit(type);
        return true;
    }

    /// <summary>Gives the memory of an unusually large event back to the collector.</summary>
    public void Shrink()
    {
        _bytes = [];
        _entries = [];
        _length = 0;
        _count = 0;
    }

    internal readonly record struct Entry(ushort Type, int Offset, int Length);
}
