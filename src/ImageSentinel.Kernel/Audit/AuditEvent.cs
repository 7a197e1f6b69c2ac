namespace ImageSentinel.Kernel.Audit;

/// <summary>Why an event was handed out.</summary>
public enum AuditEventEnd
{
    /// <summary>The kernel's end record (EOE) came.</summary>
    EndRecord = 0,

    /// <summary>The type is always a whole event (messages of programs).</summary>
    WholeRecord,

    /// <summary>No end record came in time: the event has none (CONFIG_CHANGE alone), or it was lost.</summary>
    Age,

    /// <summary>Room was needed for newer events; records may be missing.</summary>
    Evicted,

    /// <summary>The input ended.</summary>
    Flushed,
}

/// <summary>The records that share a serial and a timestamp, in the order they arrived; the end record is left out.</summary>
/// <remarks>A view into the reassembler: it is valid until the reassembler's next method is called.</remarks>
public readonly ref struct AuditEvent
{
    private readonly ReadOnlySpan<byte> _bytes;
    private readonly ReadOnlySpan<AuditEventSlot.Entry> _entries;
    private readonly ulong _types;

    internal AuditEvent(AuditEventSlot slot)
    {
        _bytes = slot.Bytes;
        _entries = slot.Entries;
        _types = slot.Types;
        Serial = slot.Serial;
        TimestampMilliseconds = slot.TimestampMilliseconds;
        End = slot.End;
        IsTruncated = slot.IsTruncated;
    }

    public uint Serial { get; }

    /// <summary>Wall-clock milliseconds since the epoch, when the system call began.</summary>
    public long TimestampMilliseconds { get; }

    public AuditEventEnd End { get; }

    /// <summary>True when the event outgrew its bounds and records were left out.</summary>
    public bool IsTruncated { get; }

    /// <summary>False when records may be missing.</summary>
    public bool IsWhole => !IsTruncated && End is AuditEventEnd.EndRecord or AuditEventEnd.WholeRecord;

    public int Count => _entries.Length;

    public AuditEventRecord this[int index]
    {
        get
        {
            AuditEventSlot.Entry entry = _entries[index];
            return new AuditEventRecord(entry.Type, _bytes.Slice(entry.Offset, entry.Length));
        }
    }

    /// <summary>Finds the first record of a type.</summary>
    public bool TryFind(ushort type, out ReadOnlySpan<byte> fields)
    {
        if ((_types & AuditEventSlot.TypeBit(type)) != 0)
        {
            foreach (AuditEventSlot.Entry entry in _entries)
            {
                if (entry.Type == type)
                {
                    fields = _bytes.Slice(entry.Offset, entry.Length);
                    return true;
                }
            }
        }

        fields = default;
        return false;
    }

    /// <summary>Walks the records.</summary>
    public Enumerator GetEnumerator() => new(this);

    /// <summary>Walks the records of an event.</summary>
    public ref struct Enumerator
    {
        private readonly AuditEvent _event;
        private int _index = -1;

        internal Enumerator(AuditEvent auditEvent) => _event = auditEvent;

        public readonly AuditEventRecord Current => _event[_index];

        public bool MoveNext() => ++_index < _event.Count;
    }
}

/// <summary>One record of an event: its type and its <c>key=value</c> text without the header.</summary>
public readonly ref struct AuditEventRecord(ushort type, ReadOnlySpan<byte> fields)
{
    /// <summary>See <see cref="AuditRecordType"/>.</summary>
    public ushort Type { get; } = type;

    public ReadOnlySpan<byte> Fields { get; } = fields;
}
