using System.Buffers.Binary;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using NUnit.Framework;

namespace ImageSentinel.Tests.Kernel;

/// <summary>The captured bytes under tests/corpus/kernel, and the expectations beside them.</summary>
internal static class KernelCorpus
{
    private static readonly JsonSerializerOptions Layout = new()
    {
        WriteIndented = false,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static string Root { get; } = Path.Combine(FindRepository(), "tests", "corpus", "kernel");

    public static bool Rebaseline { get; } = Environment.GetEnvironmentVariable("IMAGESENTINEL_REBASELINE") == "1";

    public static string Name(string file) => Path.GetFileName(file);

    // Found, not listed: a capture that has to be registered is a capture that one day is not tested.
    public static IEnumerable<string> Captures(string folder, string pattern)
        => Directory.EnumerateFiles(Path.Combine(Root, folder), pattern).Order(StringComparer.Ordinal);

    public static byte[] Read(params string[] path) => File.ReadAllBytes(Path.Combine([Root, .. path]));

    /// <summary>Datagrams that are each prefixed by their length.</summary>
    public static IEnumerable<byte[]> Prefixed(byte[] content)
    {
        for (int at = 0; at < content.Length;)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(content.AsSpan(at));
            yield return content[(at + 4)..(at + 4 + length)];
            at += 4 + length;
        }
    }

    /// <summary>Netlink messages that stand one after the other.</summary>
    public static IEnumerable<byte[]> Chained(byte[] content)
    {
        for (int at = 0; at < content.Length;)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(content.AsSpan(at));
            yield return content[at..(at + length)];
            at += (length + 3) & ~3;
        }
    }

    /// <summary>The scenarios of a text log: title and record lines.</summary>
    public static IEnumerable<(string Title, byte[][] Lines)> Scenarios(string file)
    {
        string title = "";
        var lines = new List<byte[]>();
        foreach (string line in File.ReadAllLines(file, Encoding.Latin1).Append(""))
        {
            if (line.StartsWith('#'))
            {
                title = line[1..].Trim();
            }
            else if (line.Length > 0)
            {
                lines.Add(Encoding.Latin1.GetBytes(line));
            }
            else if (lines.Count > 0)
            {
                yield return (title, [.. lines]);
                lines.Clear();
            }
        }
    }

    /// <summary>Compares with the expectation beside the capture, or rewrites it.</summary>
    public static void AssertExpected(string capture, IEnumerable<object> items)
    {
        // One item a line, so that a difference reads as one.
        string actual = "[\n" + string.Join(",\n", items.Select(item => JsonSerializer.Serialize(item, Layout))) + "\n]\n";
        string golden = Path.ChangeExtension(capture, null) + ".expected.json";
        if (Rebaseline)
        {
            File.WriteAllText(golden, actual);
        }

        Assert.That(File.Exists(golden), Is.True, "no expectation yet: run with IMAGESENTINEL_REBASELINE=1 and review it");
        Assert.That(actual.Split('\n'), Is.EqualTo(File.ReadAllText(golden).Split('\n')));
    }

    public static string Text(ReadOnlySpan<byte> bytes) => Encoding.Latin1.GetString(bytes);

    public static string Hex(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(bytes);

    private static string FindRepository()
    {
        // Built outside the checkout, the folder it was started from tells; the runner has changed the current one.
        foreach (string start in new[] { AppContext.BaseDirectory, Environment.GetEnvironmentVariable("PWD") ?? "/" })
        {
            for (DirectoryInfo? folder = new(start); folder is not null; folder = folder.Parent)
            {
                if (File.Exists(Path.Combine(folder.FullName, "ImageSentinel.sln")))
                {
                    return folder.FullName;
                }
            }
        }

        return Environment.GetEnvironmentVariable("IMAGESENTINEL_REPOSITORY")
            ?? throw new InvalidOperationException("run inside the checkout, or set IMAGESENTINEL_REPOSITORY to it");
    }
}
