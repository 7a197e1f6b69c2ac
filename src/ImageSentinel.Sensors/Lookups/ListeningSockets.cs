using System.Globalization;
using System.Net;
using ImageSentinel.Detection.Posture;

namespace ImageSentinel.Sensors.Lookups;

/// <summary>Which process listens where, by the kernel's own tables: what a daemon was told and what it did can differ.</summary>
internal static class ListeningSockets
{
    // include/net/tcp_states.h
    private const string Listen = "0A";

    // Swarm: management (mutual TLS of its own) and gossip. Neither is the API.
    private const int SwarmManagement = 2377;
    private const int SwarmGossip = 7946;

    /// <summary>The process, other than systemd, that holds the socket listening at a path.</summary>
    /// <returns>Null when none is found: gone, or not for us to see.</returns>
    public static int? HolderOf(string path)
    {
        HashSet<string> inodes = UnixListeners(path);
        if (inodes.Count == 0)
        {
            return null;
        }

        foreach (string directory in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(directory.AsSpan()), NumberStyles.None, CultureInfo.InvariantCulture, out int pid)
                && pid > 1
                && SocketsOf(pid) is { } held
                && held.Overlaps(inodes))
            {
                return pid;
            }
        }

        return null;
    }

    /// <summary>TCP listeners that a process holds, apart from those that are known not to be its API.</summary>
    /// <returns>Null when its descriptors are not for us to see.</returns>
    public static List<ApiListener>? TcpOf(int pid, IReadOnlyCollection<int> otherPorts)
    {
        if (SocketsOf(pid) is not { } held)
        {
            return null;
        }

        var listeners = new List<ApiListener>();
        foreach (string table in (ReadOnlySpan<string>)["tcp", "tcp6"])
        {
            foreach (string line in Lines(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/net/{table}")).Skip(1))
            {
                // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …
                string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                if (words.Length > 9 && words[3] == Listen && held.Contains(words[9]) && TryEndpoint(words[1], out ApiListener? listener)
                    && listener!.Port is not (SwarmManagement or SwarmGossip) && !otherPorts.Contains(listener.Port))
                {
                    listeners.Add(listener);
                }
            }
        }

        listeners.Sort(static (a, b) => a.Port != b.Port ? a.Port.CompareTo(b.Port) : string.CompareOrdinal(a.Address, b.Address));
        return listeners;
    }

    /// <summary>One address of /proc/net/tcp: hexadecimal, each 32-bit word in the host's byte order.</summary>
    internal static bool TryEndpoint(string text, out ApiListener? listener)
    {
        listener = null;
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon is not (8 or 32) || !int.TryParse(text.AsSpan(colon + 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out int port))
        {
            return false;
        }

        byte[] address = new byte[colon / 2];
        for (int word = 0; word < address.Length / 4; word++)
        {
            if (!uint.TryParse(text.AsSpan(word * 8, 8), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out uint value))
            {
                return false;
            }

            BitConverter.TryWriteBytes(address.AsSpan(word * 4), value);
        }

        var parsed = new IPAddress(address);
        listener = new ApiListener((parsed.IsIPv4MappedToIPv6 ? parsed.MapToIPv4() : parsed).ToString(), port);
        return true;
    }

    // Num RefCount Protocol Flags Type St Inode Path; flag 00010000 is __SO_ACCEPTCON: it listens.
    private static HashSet<string> UnixListeners(string path)
    {
        var inodes = new HashSet<string>(StringComparer.Ordinal);
        string other = path.StartsWith("/var/run/", StringComparison.Ordinal) ? path[4..]
            : path.StartsWith("/run/", StringComparison.Ordinal) ? "/var" + path : path;
        foreach (string line in Lines("/proc/net/unix").Skip(1))
        {
            string[] words = line.Split(' ', 8, StringSplitOptions.RemoveEmptyEntries);
            if (words.Length == 8 && words[3] == "00010000" && (words[7] == path || words[7] == other))
            {
                _ = inodes.Add(words[6]);
            }
        }

        return inodes;
    }

    // Inodes of the sockets a process has open.
    private static HashSet<string>? SocketsOf(int pid)
    {
        try
        {
            var inodes = new HashSet<string>(StringComparer.Ordinal);
            foreach (string path in Directory.EnumerateFiles(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/fd")))
            {
                if (new FileInfo(path).LinkTarget is { } target && target.StartsWith("socket:[", StringComparison.Ordinal))
                {
                    _ = inodes.Add(target[8..^1]);
                }
            }

            return inodes;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It ended, or is not ours to look into.
            return null;
        }
    }

    private static string[] Lines(string path)
    {
        try
        {
            return File.ReadAllLines(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
