using System.Buffers.Text;
using Tmds.Linux;
using static ImageSentinel.Interop.NativeConstants;

namespace ImageSentinel.Interop;

/// <summary>A process's start time, which with its pid names it for good: <c>/proc/PID/stat</c> field 22.</summary>
public static unsafe class ProcessStat
{
    // USER_HZ, the unit of /proc, is 100 on every architecture this project is built for; it is not the kernel's HZ.
    private const long NanosecondsPerTick = 1_000_000_000 / 100;

    /// <param name="pid">A process of our pid namespace.</param>
    /// <param name="bootNanoseconds">CLOCK_BOOTTIME, rounded down by the kernel to 10 ms; 0 when false is returned.</param>
    /// <returns>False when the process is gone.</returns>
    public static bool TryReadStartTime(int pid, out long bootNanoseconds)
    {
        bootNanoseconds = 0;
        if (pid <= 0)
        {
            return false;
        }

        Span<byte> path = stackalloc byte[32];
        "/proc/"u8.CopyTo(path);
        Utf8Formatter.TryFormat(pid, path[6..], out int digits);
        "/stat\0"u8.CopyTo(path[(6 + digits)..]);

        Span<byte> text = stackalloc byte[1024];
        int length;
        fixed (byte* name = path)
        fixed (byte* bytes = text)
        {
            int descriptor = LibC.open(name, O_RDONLY | O_CLOEXEC);
            if (descriptor < 0)
            {
                return false;
            }

            // One read gives the whole line; ESRCH here means that the process ended in between.
            length = (int)(long)LibC.read(descriptor, bytes, text.Length);
            _ = LibC.close(descriptor);
        }

        return length > 0 && TryParseStartTime(text[..length], out bootNanoseconds);
    }

    /// <summary>The parsing alone. The second field is the process's name in parentheses and may itself hold
    /// parentheses and blanks, so counting starts after the last one.</summary>
    internal static bool TryParseStartTime(ReadOnlySpan<byte> stat, out long bootNanoseconds)
    {
        bootNanoseconds = 0;
        int close = stat.LastIndexOf((byte)')');
        if (close < 0)
        {
            return false;
        }

        // After the parenthesis comes field 3; field 22 is the twentieth word from there.
        ReadOnlySpan<byte> rest = stat[(close + 1)..];
        for (int field = 3; field <= 22; field++)
        {
            rest = rest.TrimStart((byte)' ');
            int end = rest.IndexOf((byte)' ');
            if (end < 0)
            {
                return false;
            }

            if (field == 22)
            {
                bool parsed = Utf8Parser.TryParse(rest[..end], out long ticks, out int consumed) && consumed == end && ticks >= 0;
                bootNanoseconds = parsed ? ticks * NanosecondsPerTick : 0;
                return parsed;
            }

            rest = rest[end..];
        }

        return false;
    }
}
