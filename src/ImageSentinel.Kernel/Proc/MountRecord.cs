using System.Buffers;
using ImageSentinel.Kernel.Audit;

namespace ImageSentinel.Kernel.Proc;

/// <summary>One line of <c>/proc/PID/mountinfo</c> (proc_pid_mountinfo(5)).</summary>
/// <remarks>Strings are raw: the kernel writes blanks, tabs, line ends and backslashes as <c>\040</c> and so on; see
/// <see cref="Unescape"/>.</remarks>
public readonly ref struct MountRecord
{
    public int MountId { get; private init; }

    public int ParentId { get; private init; }

    public uint DeviceMajor { get; private init; }

    public uint DeviceMinor { get; private init; }

    /// <summary>Directory of the file system that is the root of this mount; raw.</summary>
    public ReadOnlySpan<byte> Root { get; private init; }

    /// <summary>Where it is mounted, seen from the process's root; raw.</summary>
    public ReadOnlySpan<byte> MountPoint { get; private init; }

    public ReadOnlySpan<byte> MountOptions { get; private init; }

    public ReadOnlySpan<byte> FileSystemType { get; private init; }

    public ReadOnlySpan<byte> Source { get; private init; }

    /// <summary>Options of the file system, such as an overlay's lowerdir and upperdir; raw.</summary>
    public ReadOnlySpan<byte> FileSystemOptions { get; private init; }

    public bool IsOverlay => FileSystemType.SequenceEqual("overlay"u8);

    public static OperationStatus TryParse(ReadOnlySpan<byte> line, out MountRecord record)
    {
        record = default;
        ReadOnlySpan<byte> rest = line.TrimEnd((byte)'\n');
        if (!AuditValue.TryParse(TakeWord(ref rest), out int id)
            || !AuditValue.TryParse(TakeWord(ref rest), out int parent)
            || !TryParseDevice(TakeWord(ref rest), out uint major, out uint minor))
        {
            return OperationStatus.InvalidData;
        }

        ReadOnlySpan<byte> root = TakeWord(ref rest);
        ReadOnlySpan<byte> mountPoint = TakeWord(ref rest);
        ReadOnlySpan<byte> mountOptions = TakeWord(ref rest);

        // Any number of optional fields, then a lone hyphen.
        while (true)
        {
            if (rest.IsEmpty)
            {
                return OperationStatus.NeedMoreData;
            }

            if (TakeWord(ref rest) is [(byte)'-'])
            {
                break;
            }
        }

        record = new MountRecord
        {
            MountId = id,
            ParentId = parent,
            DeviceMajor = major,
            DeviceMinor = minor,
            Root = root,
            MountPoint = mountPoint,
            MountOptions = mountOptions,
            FileSystemType = TakeWord(ref rest),
            Source = TakeWord(ref rest),
            FileSystemOptions = TakeWord(ref rest),
        };
        return record.FileSystemType.IsEmpty ? OperationStatus.NeedMoreData : OperationStatus.Done;
    }

    /// <summary>Finds <c>name=value</c> among the options of the file system; the value is raw.</summary>
    public bool TryFindOption(ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        ReadOnlySpan<byte> rest = FileSystemOptions;
        while (!rest.IsEmpty)
        {
            // A comma within a value is written as \054, so this one separates.
            int comma = rest.IndexOf((byte)',');
            ReadOnlySpan<byte> option = comma < 0 ? rest : rest[..comma];
            rest = comma < 0 ? default : rest[(comma + 1)..];
            if (option.Length > name.Length && option[name.Length] == (byte)'=' && option.StartsWith(name))
            {
                value = option[(name.Length + 1)..];
                return true;
            }
        }

        value = default;
        return false;
    }

    /// <summary>Turns <c>\ooo</c> into bytes. The result is never longer than the raw text.</summary>
    /// <returns>DestinationTooSmall with the beginning written; InvalidData when an escape is none.</returns>
    public static OperationStatus Unescape(ReadOnlySpan<byte> raw, Span<byte> destination, out int written)
    {
        written = 0;
        while (!raw.IsEmpty)
        {
            if (written == destination.Length)
            {
                return OperationStatus.DestinationTooSmall;
            }

            if (raw[0] != (byte)'\\')
            {
                destination[written++] = raw[0];
                raw = raw[1..];
            }
            else if (raw.Length >= 4 && AuditValue.TryParseOctal(raw.Slice(1, 3), out uint value) && value <= byte.MaxValue)
            {
                destination[written++] = (byte)value;
                raw = raw[4..];
            }
            else
            {
                return OperationStatus.InvalidData;
            }
        }

        return OperationStatus.Done;
    }

    private static bool TryParseDevice(ReadOnlySpan<byte> word, out uint major, out uint minor)
    {
        int colon = word.IndexOf((byte)':');
        major = 0;
        minor = 0;
        return colon > 0
            && AuditValue.TryParse(word[..colon], out major)
            && AuditValue.TryParse(word[(colon + 1)..], out minor);
    }

    private static ReadOnlySpan<byte> TakeWord(scoped ref ReadOnlySpan<byte> text)
    {
        text = text.TrimStart((byte)' ');
        int end = text.IndexOf((byte)' ');
        ReadOnlySpan<byte> word = end < 0 ? text : text[..end];
        text = end < 0 ? default : text[(end + 1)..];
        return word;
    }
}
