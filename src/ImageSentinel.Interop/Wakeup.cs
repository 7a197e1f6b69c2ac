using System.Runtime.InteropServices;
using Tmds.Linux;

namespace ImageSentinel.Interop;

/// <summary>Owns an eventfd: how another thread wakes a reader that sleeps in the kernel.</summary>
public sealed class Wakeup : Descriptor
{
    private Wakeup(int descriptor)
        : base(descriptor)
    {
    }

    /// <exception cref="LinuxException">EMFILE when the process is out of descriptors.</exception>
    public static Wakeup Create()
        => new(Check(LibC.eventfd(0, LibC.EFD_CLOEXEC | LibC.EFD_NONBLOCK), "eventfd"));

    /// <summary>Wakes the sleeper, now or at its next sleep. Stays signalled.</summary>
    public unsafe void Signal()
    {
        ulong one = 1;
        // EAGAIN would mean that 2^64-2 signals are pending: the sleeper is awake anyway.
        _ = LibC.write(Number, &one, sizeof(ulong));
    }

    /// <summary>Takes the signal back, so that the next <see cref="Signal"/> is seen as a new one.</summary>
    public unsafe void Reset()
    {
        ulong value;
        _ = LibC.read(Number, &value, sizeof(ulong));
    }

    /// <summary>Sleeps until a signal or the end of <paramref name="timeout"/>.</summary>
    /// <returns>True when signalled.</returns>
    public bool Wait(TimeSpan timeout) => Poller.Wait(this, null, timeout) == PollResult.Woken;
}

/// <summary>Why a wait ended.</summary>
public enum PollResult
{
    TimedOut,
    Readable,
    Woken,
}

internal static class Poller
{
    /// <summary>Waits for data or a wake-up; a wake-up wins. A negative timeout waits for ever.</summary>
    public static unsafe PollResult Wait(Wakeup wakeup, Descriptor? data, TimeSpan timeout)
    {
        pollfd_native* set = stackalloc pollfd_native[2];
        set[0] = new pollfd_native { fd = wakeup.Number, events = NativeConstants.POLLIN };
        set[1] = new pollfd_native { fd = data?.Number ?? -1, events = NativeConstants.POLLIN };
        timespec_native limit = timespec_native.From(timeout < TimeSpan.Zero ? TimeSpan.Zero : timeout);

        while (true)
        {
            int ready = NativeMethods.PPoll(set, 2, timeout < TimeSpan.Zero ? null : &limit, null);
            if (ready == 0)
            {
                return PollResult.TimedOut;
            }

            if (ready > 0)
            {
                // Anything but readable (POLLERR, POLLHUP) is for the following read to report.
                return set[0].revents != 0 ? PollResult.Woken : PollResult.Readable;
            }

            int errno = Marshal.GetLastPInvokeError();
            if (errno != Errno.EINTR)
            {
                throw new LinuxException("ppoll", errno);
            }
        }
    }
}
