namespace ImageSentinel.Interop;

/// <summary>The kernel's clocks, in nanoseconds.</summary>
public static unsafe class Clocks
{
    /// <summary>Since boot, sleep included: CLOCK_BOOTTIME, the clock of <c>/proc/PID/stat</c> start times.</summary>
    public static long BootNanoseconds => Read(NativeConstants.CLOCK_BOOTTIME);

    /// <summary>Since boot, sleep not included: CLOCK_MONOTONIC, the clock of process connector time stamps.</summary>
    public static long MonotonicNanoseconds => Read(NativeConstants.CLOCK_MONOTONIC);

    /// <summary>Since 1970-01-01 UTC: CLOCK_REALTIME. It jumps; for display only.</summary>
    public static long WallNanoseconds => Read(NativeConstants.CLOCK_REALTIME);

    /// <summary>CPU time this process has used, all threads.</summary>
    public static long ProcessCpuNanoseconds => Read(NativeConstants.CLOCK_PROCESS_CPUTIME_ID);

    /// <summary>CPU time the calling thread has used.</summary>
    public static long ThreadCpuNanoseconds => Read(NativeConstants.CLOCK_THREAD_CPUTIME_ID);

    // None of these clocks can fail on a kernel this program runs on (CLOCK_BOOTTIME is from 2.6.39).
    private static long Read(int clock)
    {
        timespec_native time;
        _ = NativeMethods.ClockGetTime(clock, &time);
        return time.Nanoseconds;
    }
}
