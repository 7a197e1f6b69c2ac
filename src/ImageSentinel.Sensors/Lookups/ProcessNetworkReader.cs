using System.Globalization;
using System.Net;
using ImageSentinel.Detection.Model;
using ImageSentinel.Interop;

namespace ImageSentinel.Sensors.Lookups;

/// <summary>Reads the addresses of a process's network namespace, as the process file system shows them to itself.</summary>
/// <remarks><c>/proc/PID/net/fib_trie</c> (net/ipv4/fib_trie.c): a leaf <c>|-- ADDRESS</c> with <c>/32 host LOCAL</c> below it is an
/// address of the namespace. <c>/proc/PID/net/if_inet6</c>: 32 hex digits, index, prefix, scope, flags, name.</remarks>
internal static class ProcessNetworkReader
{
    private const int MaximumAddresses = 16;

    public static ProcessNetworkFact Read(int pid)
    {
        var gone = new ProcessNetworkFact(pid, 0, [], false);
        string root = string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}");
        try
        {
            if (!ProcessStat.TryReadStartTime(pid, out long start))
            {
                return gone;
            }

            string own = new FileInfo("/proc/self/ns/net").LinkTarget ?? "";
            string theirs = new FileInfo($"{root}/ns/net").LinkTarget ?? "";
            if (theirs.Length == 0)
            {
                return gone;
            }

            if (theirs == own)
            {
                return new ProcessNetworkFact(pid, start, [], true);
            }

            List<string> addresses = [.. Addresses4(File.ReadLines($"{root}/net/fib_trie")), .. Addresses6($"{root}/net/if_inet6")];

            // The same process before and after: else the pid may have become somebody else's in between.
            return ProcessStat.TryReadStartTime(pid, out long again) && again == start && new FileInfo($"{root}/ns/net").LinkTarget == theirs
                ? new ProcessNetworkFact(pid, start, [.. addresses.Distinct().Take(MaximumAddresses)], false)
                : gone;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or LinuxException)
        {
            return gone;
        }
    }

    internal static IEnumerable<string> Addresses4(IEnumerable<string> lines)
    {
        string leaf = "";
        foreach (string line in lines)
        {
            string text = line.Trim();
            if (text.StartsWith("|-- ", StringComparison.Ordinal))
            {
                leaf = text[4..];
            }
            else if (text == "/32 host LOCAL" && leaf.Length > 0 && !leaf.StartsWith("127.", StringComparison.Ordinal))
            {
                yield return leaf;
            }
        }
    }

    private static IEnumerable<string> Addresses6(string path)
    {
        if (!File.Exists(path))
        {
            yield break;
        }

        foreach (string line in File.ReadLines(path))
        {
            if (line.Length > 32 && Convert.FromHexString(line[..32]) is { Length: 16 } bytes && new IPAddress(bytes) is { IsIPv6LinkLocal: false } address && !IPAddress.IsLoopback(address))
            {
                yield return address.ToString();
            }
        }
    }
}
