using System.Globalization;
using System.Text;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Text;
using ImageSentinel.Interop;

namespace ImageSentinel.Sensors.Lookups;

/// <summary>Reads processes from the process file system: those that ran before us, and the few whose birth we missed.</summary>
internal static class ProcessReader
{
    private const int MaximumArguments = 16 * 1024;

    /// <summary>Every process of the host, parents before children.</summary>
    public static List<ProcessFact> ReadAll()
    {
        var all = new List<ProcessFact>();
        foreach (string directory in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(directory.AsSpan()), NumberStyles.None, CultureInfo.InvariantCulture, out int pid)
                && Read(pid) is { } process)
            {
                all.Add(process);
            }
        }

        // Start times have 10 ms steps; a parent's pid is lower unless the numbers wrapped.
        all.Sort(static (a, b) => a.StartBoot != b.StartBoot ? a.StartBoot.CompareTo(b.StartBoot) : a.Pid.CompareTo(b.Pid));
        return all;
    }

    /// <returns>Null when the process is gone.</returns>
    public static ProcessFact? Read(int pid)
    {
        string root = string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}");
        try
        {
            if (!ProcessStat.TryReadStartTime(pid, out long start))
            {
                return null;
            }

            (int parent, uint uid, uint gid) = ReadStatus(root);
            return new ProcessFact(
                pid,
                parent,
                start,
                uid,
                gid,
                ReadNumber($"{root}/loginuid"),
                ReadNumber($"{root}/sessionid"),
                ReadLink($"{root}/exe"),
                Redactor.RedactArguments(ReadArguments($"{root}/cmdline")),
                ReadLink($"{root}/cwd"),
                ReadCgroup($"{root}/cgroup"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            // It ended while it was read.
            return null;
        }
    }

    private static (int Parent, uint Uid, uint Gid) ReadStatus(string root)
    {
        int parent = 0;
        uint uid = uint.MaxValue;
        uint gid = uint.MaxValue;
        foreach (string line in File.ReadLines($"{root}/status"))
        {
            if (line.StartsWith("PPid:", StringComparison.Ordinal))
            {
                parent = int.Parse(line.AsSpan(5).Trim(), CultureInfo.InvariantCulture);
            }
            else if (line.StartsWith("Uid:", StringComparison.Ordinal))
            {
                uid = First(line);
            }
            else if (line.StartsWith("Gid:", StringComparison.Ordinal))
            {
                gid = First(line);
                break;
            }
        }

        return (parent, uid, gid);

        static uint First(string line)
            => uint.Parse(line.Split('\t', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }

    private static uint ReadNumber(string path)
    {
        try
        {
            return uint.TryParse(File.ReadAllText(path).AsSpan().Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out uint value)
                ? value
                : uint.MaxValue;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return uint.MaxValue;
        }
    }

    private static string ReadLink(string path)
    {
        try
        {
            return new FileInfo(path).LinkTarget ?? "";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private static string[] ReadArguments(string path)
    {
        using FileStream file = File.OpenRead(path);
        byte[] buffer = new byte[MaximumArguments];
        int length = file.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
        return length == 0 ? [] : Encoding.UTF8.GetString(buffer.AsSpan(0, length).TrimEnd((byte)0)).Split('\0');
    }

    // The longest path of all hierarchies: with a hybrid layout some are just "/".
    private static string ReadCgroup(string path)
    {
        string best = "";
        foreach (string line in File.ReadLines(path))
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            int second = colon < 0 ? -1 : line.IndexOf(':', colon + 1);
            if (second >= 0 && line.Length - second - 1 > best.Length)
            {
                best = line[(second + 1)..];
            }
        }

        return best;
    }
}
