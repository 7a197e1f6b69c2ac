using System.Numerics;

namespace ImageSentinel.Kernel.Audit;

/// <summary>Groups records into events by serial, and tells late, duplicate and lost apart.</summary>
/// <remarks>
/// <para>Records of several events interleave on the wire. An event ends with its EOE record, at once for types that
/// are whole events, or when it has become old: the caller brings the time, nothing here reads a clock.</para>
/// <para>The kernel's event serials are free of gaps as long as nothing is lost: rules of others and excluded types do
/// not make holes in what a multicast reader sees. A serial that stays away is therefore a lost event, whatever the
/// kernel's own <c>lost</c> counter says (it does not count losses of multicast readers). Serials wrap at 2^32 and are
/// compared by their signed distance.</para>
/// <para>Everything is bounded. State is found by <c>serial mod window</c>, so a dense stream costs no more than a
/// sparse one. Not thread safe.</para>
/// </remarks>
public sealed class AuditReassembler
{
    // An event with an end record always begins with one of these.
    private static readonly ulong HeadTypes =
        AuditEventSlot.TypeBit(AuditRecordType.Syscall) | AuditEventSlot.TypeBit(AuditRecordType.UringOperation);

    private readonly AuditReassemblerOptions _options;
    private readonly AuditEventPool _events;
    private readonly WindowEntry[] _window;
    private readonly uint _mask;
    private AuditReassemblerCounters _counters;
    private long _newestTimestamp;
    private bool _started;
    private uint _next; // one above the highest serial seen
    private uint _unsettled; // lowest serial that is still open or missed
    private AuditLoss _loss;

    public AuditReassembler(AuditReassemblerOptions? options = null)
    {
        _options = options ?? new AuditReassemblerOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(_options.MaxEvents, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(_options.MaxEventBytes, 1024);
        ArgumentOutOfRangeException.ThrowIfLessThan(_options.MaxEventRecords, 1);
        if (_options.Window < 2 || !BitOperations.IsPow2(_options.Window))
        {
            throw new ArgumentException("The window is a power of two, at least 2.", nameof(options));
        }

        _events = new AuditEventPool(_options.MaxEvents, _options.MaxIdleBytes);
        _window = new WindowEntry[_options.Window];
        _mask = (uint)_options.Window - 1;
    }

    private enum SerialState : byte
    {
        /// <summary>Before the first serial ever seen.</summary>
        Unknown = 0,
        Missing,
        Open,
        Closed,
        Lost,
    }

    /// <summary>Totals since the start; they survive <see cref="Reset"/>.</summary>
    public AuditReassemblerCounters Counters => _counters;

    /// <summary>Events begun and not ended.</summary>
    public int OpenEvents => _events.OpenEvents;

    /// <summary>Takes one record in. Call <see cref="TryTake"/> until it answers false before adding many more.</summary>
    /// <param name="record">The record; its bytes are copied.</param>
    /// <param name="nowNanoseconds">The caller's monotonic time.</param>
    public void Add(in AuditRecord record, long nowNanoseconds)
    {
        _events.TakeBack();
        _counters.Records++;
        if (!_started)
        {
            Start(record.Serial);
        }

        int distance = unchecked((int)(record.Serial - _next));
        if (distance >= 0)
        {
            MoveTo(record.Serial, distance, nowNanoseconds);
        }
        else if (distance < -_options.Window && !TryRestart(record))
        {
            _counters.Late++;
            return;
        }

        _newestTimestamp = Math.Max(_newestTimestamp, record.TimestampMilliseconds);
        Place(record, nowNanoseconds);
        Advance(nowNanoseconds);
    }

    /// <summary>Hands out what became old and counts serials that stayed away as lost.</summary>
    public void Advance(long nowNanoseconds)
    {
        _events.TakeBack();
        while (_events.Oldest is { } slot && nowNanoseconds - slot.OpenedAt >= _options.MaxAgeNanoseconds)
        {
            _counters.Aged++;
            Close(slot, AuditEventEnd.Age);
        }

        while (_unsettled != _next)
        {
            ref WindowEntry entry = ref _window[_unsettled & _mask];
            if (entry.State == SerialState.Open
                || (entry.State == SerialState.Missing && nowNanoseconds - entry.MissedSince < _options.GapPatienceNanoseconds))
            {
                break;
            }

            Settle(_unsettled);
        }
    }

    /// <summary>Hands out everything that is open: the input ended. Serials still missing count as lost.</summary>
    public void Flush()
    {
        _events.TakeBack();
        while (_events.Oldest is { } slot)
        {
            Close(slot, AuditEventEnd.Flushed);
        }

        while (_unsettled != _next)
        {
            Settle(_unsettled);
        }
    }

    /// <summary>Forgets the serials, as when the sensor starts again: the next record begins anew and nothing is lost
    /// in between. Open events are handed out first.</summary>
    public void Reset()
    {
        Flush();
        _started = false;
    }

    /// <summary>Gives the next finished event. The view is valid until the next call of any method.</summary>
    public bool TryTake(out AuditEvent auditEvent)
    {
        if (_events.Lend() is not { } slot)
        {
            auditEvent = default;
            return false;
        }

        _counters.Taken++;
        auditEvent = new AuditEvent(slot);
        return true;
    }

    /// <summary>Gives the serials found missing since the last call, as one notice.</summary>
    public bool TryTakeLoss(out AuditLoss loss)
    {
        loss = _loss;
        _loss = default;
        return loss.Count > 0;
    }

    private void Start(uint serial)
    {
        _started = true;
        _next = serial;
        _unsettled = serial;
        Array.Clear(_window);
    }

    // A serial far behind with a later stamp: not late but a new count, as after a reboot within one recording.
    private bool TryRestart(in AuditRecord record)
    {
        if (record.TimestampMilliseconds <= _newestTimestamp)
        {
            return false;
        }

        Flush();
        _counters.Restarts++;
        Start(record.Serial);
        MoveTo(record.Serial, 0, 0);
        return true;
    }

    private void MoveTo(uint serial, int distance, long now)
    {
        if (distance >= _options.Window)
        {
            // More is missing than the window remembers: all of it is lost.
            while (_events.Oldest is { } slot)
            {
                Evict(slot);
            }

            while (_unsettled != _next)
            {
                Settle(_unsettled);
            }

            CountLost(_next, serial - 1, distance);
            Array.Fill(_window, new WindowEntry { State = SerialState.Lost });
            _unsettled = serial;
            _next = serial + 1;
            _window[serial & _mask] = new WindowEntry { State = SerialState.Missing, MissedSince = now };
            return;
        }

        for (uint current = _next; ; current++)
        {
            // This entry still belongs to the serial one window below.
            if (current - _unsettled >= (uint)_options.Window)
            {
                Settle(_unsettled);
            }
            else if (_window[current & _mask] is { State: SerialState.Open, Slot: int recovered })
            {
                Evict(_events[recovered]); // it came after its serial had been settled as lost
            }

            _window[current & _mask] = new WindowEntry { State = SerialState.Missing, MissedSince = now };
            if (current == serial)
            {
                break;
            }
        }

        _next = serial + 1;
    }

    private void Place(in AuditRecord record, long now)
    {
        ref WindowEntry entry = ref _window[record.Serial & _mask];
        switch (entry.State)
        {
            case SerialState.Open:
                AddToOpen(_events[entry.Slot], record);
                break;

            case SerialState.Closed:
                if (AuditRecordType.IsOncePerEvent(record.Type) && (entry.Types & AuditEventSlot.TypeBit(record.Type)) != 0)
                {
                    _counters.Duplicates++;
                }
                else
                {
                    _counters.Late++;
                }

                break;

            case SerialState.Unknown:
                // Older than the first record we ever saw: its event began before we listened.
                _counters.Late++;
                break;

            default:
                if (entry.State == SerialState.Lost)
                {
                    _counters.Recovered++;
                }

                Begin(record, now);
                break;
        }
    }

    private void Begin(in AuditRecord record, long now)
    {
        if (record.Type == AuditRecordType.EndOfEvent)
        {
            // The kernel writes an end record only behind others (when SYSCALL is excluded, it writes neither).
            _counters.EndRecords++;
            _counters.Headless++;
            CountLost(record.Serial, record.Serial, 1);
            _window[record.Serial & _mask] = new WindowEntry
            {
                State = SerialState.Closed,
                Types = AuditEventSlot.TypeBit(AuditRecordType.EndOfEvent),
            };
            return;
        }

        if (_events.IsNearlyFull && _events.Oldest is { } oldest)
        {
            Evict(oldest);
        }

        if (_events.Open(record.Serial, record.TimestampMilliseconds, now, out AuditEventSlot slot))
        {
            _counters.Dropped++;
        }

        _counters.Opened++;
        _window[record.Serial & _mask] = new WindowEntry { State = SerialState.Open, Slot = slot.Index };
        Append(slot, record);
        if (AuditRecordType.IsWholeEvent(record.Type))
        {
            Close(slot, AuditEventEnd.WholeRecord);
        }
    }

    private void AddToOpen(AuditEventSlot slot, in AuditRecord record)
    {
        if (slot.TimestampMilliseconds != record.TimestampMilliseconds)
        {
            _counters.Contradictory++;
        }
        else if (record.Type == AuditRecordType.EndOfEvent)
        {
            _counters.EndRecords++;
            Close(slot, AuditEventEnd.EndRecord);
        }
        else if (AuditRecordType.IsOncePerEvent(record.Type) && (slot.Types & AuditEventSlot.TypeBit(record.Type)) != 0)
        {
            _counters.Duplicates++;
        }
        else
        {
            Append(slot, record);
        }
    }

    private void Append(AuditEventSlot slot, in AuditRecord record)
    {
        if (slot.TryAppend(record.Type, record.Fields, _options.MaxEventBytes, _options.MaxEventRecords))
        {
            _counters.Kept++;
        }
        else
        {
            _counters.Cut++;
        }
    }

    private void Close(AuditEventSlot slot, AuditEventEnd end)
    {
        slot.End = end;
        _events.Finish(slot);

        ulong types = slot.Types;
        if (end == AuditEventEnd.EndRecord)
        {
            types |= AuditEventSlot.TypeBit(AuditRecordType.EndOfEvent);
            if ((types & HeadTypes) == 0)
            {
                _counters.Headless++;
                CountLost(slot.Serial, slot.Serial, 1);
            }
        }

        _window[slot.Serial & _mask] = new WindowEntry { State = SerialState.Closed, Types = types };
    }

    private void Evict(AuditEventSlot slot)
    {
        _counters.Evicted++;
        Close(slot, AuditEventEnd.Evicted);
    }

    // Passes the lowest serial that is neither handed out nor counted.
    private void Settle(uint serial)
    {
        ref WindowEntry entry = ref _window[serial & _mask];
        if (entry.State == SerialState.Open)
        {
            Evict(_events[entry.Slot]);
        }
        else if (entry.State == SerialState.Missing)
        {
            entry.State = SerialState.Lost;
            CountLost(serial, serial, 1);
        }

        _unsettled = serial + 1;
    }

    private void CountLost(uint first, uint last, long count)
    {
        if (count == 0)
        {
            return;
        }

        _counters.Lost += count;
        _loss = new AuditLoss(_loss.Count == 0 ? first : _loss.FirstSerial, last, _loss.Count + count);
    }

    private struct WindowEntry
    {
        public long MissedSince;
        public ulong Types;
        public int Slot;
        public SerialState State;
    }
}
