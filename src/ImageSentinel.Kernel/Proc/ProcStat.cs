using System.Buffers;
using ImageSentinel.Kernel.Audit;

namespace ImageSentinel.Kernel.Proc;

/// <summary>What is wanted of <c>/proc/PID/stat</c> (proc_pid_stat(5)).</summary>
public readonly ref struct ProcStat
{
    public int ProcessId { get; private init; }

    /// <summary>Name of the thread, at most 15 bytes; it may hold blanks and parentheses.</summary>
    public ReadOnlySpan<byte> Command { get; private init; }

    /// <summary>R, S, D, Z, T, t, X or I.</summary>
    public byte State { get; private init; }

    public int ParentProcessId { get; private init; }

    public int ProcessGroup { get; private init; }

    public int Session { get; private init; }

    /// <summary>Clock ticks (CLK_TCK, 100 a second) since boot, CLOCK_BOOTTIME. With the pid it names the process.</summary>
    public ulong StartTimeTicks { get; private init; }

    public static OperationStatus TryParse(ReadOnlySpan<byte> content, out ProcStat stat)
    {
        stat = default;

        // The name may hold anything, also ") R 1"; the numbers behind it cannot hold a parenthesis.
        int open = content.IndexOf((byte)'(');
        int close = content.LastIndexOf((byte)')');
        if (open < 2 || close < open || !AuditValue.TryParse(content[..(open - 1)], out int process))
        {
            return OperationStatus.InvalidData;
        }

        ReadOnlySpan<byte> rest = content[(close + 1)..];
        byte state = 0;
        int parent = 0, group = 0, session = 0;
        const int startTimeField = 22;
        for (int field = 3; field <= startTimeField; field++)
        {
            rest = rest.TrimStart((byte)' ');
            int end = rest.IndexOfAny((byte)' ', (byte)'\n');
            if (end < 0)
            {
                // Nothing behind the number says that it is whole.
                return OperationStatus.NeedMoreData;
            }

            ReadOnlySpan<byte> word = rest[..end];
            rest = rest[end..];
            bool valid = true;
            ulong start = 0;
            switch (field)
            {
                case 3:
                    valid = word.Length == 1;
                    state = valid ? word[0] : default;
                    break;
                case 4:
                    valid = AuditValue.TryParse(word, out parent);
                    break;
                case 5:
                    valid = AuditValue.TryParseSigned(word, out group);
                    break;
                case 6:
                    valid = AuditValue.TryParseSigned(word, out session);
                    break;
                case startTimeField:
                    valid = AuditValue.TryParse(word, out start);
                    break;
                default:
                    break;
            }

            if (!valid)
            {
                return OperationStatus.InvalidData;
            }

            if (field == startTimeField)
            {
                stat = new ProcStat
                {
                    ProcessId = process,
                    Command = content[(open + 1)..close],
                    State = state,
                    ParentProcessId = parent,
                    ProcessGroup = group,
                    Session = session,
                    StartTimeTicks = start,
                };
            }
        }

        return OperationStatus.Done;
    }
}
