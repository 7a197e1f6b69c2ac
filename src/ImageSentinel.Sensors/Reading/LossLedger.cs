using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Sensors.Reading;

/// <summary>One sensor's counts. Written by its reading thread, read by anybody.</summary>
internal sealed class LossLedger
{
    private long _queued;
    private long _dropped;
    private long _lostInKernel;
    private long _overflows;
    private long _foreign;

    /// <summary>Datagrams that a process sent to us, not the kernel. They are no records and are in no other count.</summary>
    public long Foreign => Interlocked.Read(ref _foreign);

    /// <summary>Counts records read from the kernel by what became of them; received is their sum by construction.</summary>
    public void Moved(long records, bool queued) => Interlocked.Add(ref queued ? ref _queued : ref _dropped, records);

    public void LostInKernel(long records) => Interlocked.Add(ref _lostInKernel, records);

    public void Overflowed() => Interlocked.Increment(ref _overflows);

    public void FromProcesses(long datagrams) => Interlocked.Add(ref _foreign, datagrams);

    public LossTotals Snapshot()
    {
        long queued = Interlocked.Read(ref _queued);
        long dropped = Interlocked.Read(ref _dropped);
        return new LossTotals(
            queued + dropped,
            queued,
            dropped,
            Interlocked.Read(ref _lostInKernel),
            Interlocked.Read(ref _overflows));
    }
}
