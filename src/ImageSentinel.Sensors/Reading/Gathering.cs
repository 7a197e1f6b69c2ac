using ImageSentinel.Interop;

namespace ImageSentinel.Sensors.Reading;

/// <summary>Decides whether a reader sleeps until something comes, or lets things gather first.</summary>
/// <param name="shortest">The first pause of a busy spell.</param>
/// <param name="longest">Pauses double up to this while the spell lasts.</param>
/// <remarks>
/// A wake-up costs more than the record it brings (50 to 100 µs of CPU in a virtual machine). What comes alone is
/// delivered at once; while deliveries follow each other closely, a pause turns a wake-up per record into one per
/// hundreds. The kernel's queues hold far more than a pause's worth.
/// </remarks>
internal struct Gathering(TimeSpan shortest, TimeSpan longest)
{
    /// <summary>Deliveries closer together than this, pauses not counted, are a busy host.</summary>
    private const long BusyNanoseconds = 1_000_000;

    private long _lastEnd;
    private TimeSpan _pause;

    /// <summary>Sleeps as the last read suggests.</summary>
    /// <param name="delivered">Whether the last read brought anything.</param>
    /// <param name="stop">Wakes at any time.</param>
    /// <param name="waitForData">Sleeps until data or <paramref name="stop"/>.</param>
    /// <returns>True when it is time to stop.</returns>
    public bool Sleep(bool delivered, Wakeup stop, Func<PollResult> waitForData)
    {
        if (!delivered)
        {
            return waitForData() == PollResult.Woken;
        }

        bool busy = Clocks.MonotonicNanoseconds - _lastEnd < BusyNanoseconds;
        _pause = busy ? TimeSpan.FromTicks(Math.Clamp(_pause.Ticks * 2, shortest.Ticks, longest.Ticks)) : TimeSpan.Zero;
        bool stopping = busy ? stop.Wait(_pause) : waitForData() == PollResult.Woken;
        _lastEnd = Clocks.MonotonicNanoseconds;
        return stopping;
    }
}
