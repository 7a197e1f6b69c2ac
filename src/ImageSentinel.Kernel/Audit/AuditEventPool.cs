namespace ImageSentinel.Kernel.Audit;

/// <summary>The slots of a reassembler: free, open (oldest first), finished and waiting, or lent to the caller.</summary>
internal sealed class AuditEventPool
{
    private readonly AuditEventSlot[] _slots;
    private readonly Stack<AuditEventSlot> _free;
    private readonly Queue<AuditEventSlot> _finished;
    private readonly int _maxIdleBytes;
    private AuditEventSlot? _newest;
    private AuditEventSlot? _lent;
    private long _idleBytes;

    /// <param name="maxEvents">Events open or waiting at one time.</param>
    /// <param name="maxIdleBytes">Bytes that free slots may keep.</param>
    public AuditEventPool(int maxEvents, int maxIdleBytes)
    {
        // One more than may be open or waiting: the reserve that lets an eviction reach the caller.
        _slots = new AuditEventSlot[maxEvents + 1];
        _free = new Stack<AuditEventSlot>(_slots.Length);
        _finished = new Queue<AuditEventSlot>(_slots.Length);
        _maxIdleBytes = maxIdleBytes;
        for (int i = _slots.Length - 1; i >= 0; i--)
        {
            _slots[i] = new AuditEventSlot(i);
            _free.Push(_slots[i]);
        }
    }

    /// <summary>The event that has been open longest.</summary>
    public AuditEventSlot? Oldest { get; private set; }

    public int OpenEvents => _slots.Length - _free.Count - _finished.Count - (_lent is null ? 0 : 1);

    /// <summary>With the last slot the oldest open event should be finished, so that the caller gives a slot back.</summary>
    public bool IsNearlyFull => _free.Count <= 1 && _finished.Count == 0;

    public AuditEventSlot this[int index] => _slots[index];

    /// <summary>Opens a slot. A caller that does not take what is finished loses the oldest of it.</summary>
    /// <returns>True when a finished event had to be dropped for it.</returns>
    public bool Open(uint serial, long timestampMilliseconds, long now, out AuditEventSlot slot)
    {
        bool dropped = false;
        if (_free.Count == 0)
        {
            Release(_finished.Dequeue());
            dropped = true;
        }

        slot = _free.Pop();
        _idleBytes -= slot.Capacity;
        slot.Open(serial, timestampMilliseconds, now);

        slot.Older = _newest;
        slot.Newer = null;
        if (_newest is null)
        {
            Oldest = slot;
        }
        else
        {
            _newest.Newer = slot;
        }

        _newest = slot;
        return dropped;
    }

    /// <summary>Moves an open slot to those that wait to be taken.</summary>
    public void Finish(AuditEventSlot slot)
    {
        if (slot.Older is null)
        {
            Oldest = slot.Newer;
        }
        else
        {
            slot.Older.Newer = slot.Newer;
        }

        if (slot.Newer is null)
        {
            _newest = slot.Older;
        }
        else
        {
            slot.Newer.Older = slot.Older;
        }

        slot.Older = null;
        slot.Newer = null;
        _finished.Enqueue(slot);
    }

    /// <summary>Lends out the next finished slot, until <see cref="TakeBack"/>.</summary>
    public AuditEventSlot? Lend()
    {
        TakeBack();
        _ = _finished.TryDequeue(out _lent);
        return _lent;
    }

    public void TakeBack()
    {
        if (_lent is { } slot)
        {
            _lent = null;
            Release(slot);
        }
    }

    private void Release(AuditEventSlot slot)
    {
        if (_idleBytes + slot.Capacity > _maxIdleBytes)
        {
            slot.Shrink();
        }

        _idleBytes += slot.Capacity;
        _free.Push(slot);
    }
}
