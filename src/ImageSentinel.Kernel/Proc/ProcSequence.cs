namespace ImageSentinel.Kernel.Proc;

/// <summary>Counts lost process events by the gaps in each processor's sequence.</summary>
/// <remarks>
/// The kernel numbers the events of each processor by themselves (<c>send_msg</c>, drivers/connector/cn_proc.c). With
/// an event filter set the numbers count filtered events too, so use this on an unfiltered socket only. Not thread safe.
/// </remarks>
public sealed class ProcSequence
{
    /// <summary>Processors followed; more is taken for nonsense (an acknowledgement of an old kernel says -1).</summary>
    public const int MaxProcessors = 8192;

    private (bool Seen, uint Next)[] _processors = new (bool, uint)[16];

    /// <summary>Events that never came.</summary>
    public long Lost { get; private set; }

    /// <summary>Events whose number had been passed already.</summary>
    public long Late { get; private set; }

    /// <summary>Notes an event and returns how many of its processor are missing right before it.</summary>
    public long Note(in ProcConnectorRecord record) => Note(record.Cpu, record.Sequence);

    /// <inheritdoc cref="Note(in ProcConnectorRecord)"/>
    public long Note(uint processor, uint sequence)
    {
        if (processor >= MaxProcessors)
        {
            return 0;
        }

        if (processor >= _processors.Length)
        {
            Array.Resize(ref _processors, (int)Math.Max(processor + 1, (uint)_processors.Length * 2));
        }

        ref (bool Seen, uint Next) state = ref _processors[processor];

        // Signed distance: an earlier number is late, not four billion lost.
        int distance = state.Seen ? unchecked((int)(sequence - state.Next)) : 0;
        if (distance < 0)
        {
            Late++;
            return 0;
        }

        state = (true, unchecked(sequence + 1));
        Lost += distance;
        return distance;
    }

    /// <summary>Forgets the numbers, as when the socket is opened again; the totals stay.</summary>
    public void Reset() => Array.Clear(_processors);
}
