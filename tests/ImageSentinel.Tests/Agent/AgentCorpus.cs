using Google.Protobuf;
using ImageSentinel.V1;

namespace ImageSentinel.Tests.Agent;

/// <summary>The files under tests/corpus/agent: records as the agent writes them, and what each renderer makes of them.</summary>
internal static class AgentCorpus
{
    private static readonly JsonParser s_parser = new(JsonParser.Settings.Default);

    public static string Root { get; } = Path.Combine(FindRepository(), "tests", "corpus", "agent");

    /// <summary>True when golden files are to be written anew instead of compared (IMAGESENTINEL_REBASELINE=1).</summary>
    public static bool Rebaseline => Environment.GetEnvironmentVariable("IMAGESENTINEL_REBASELINE") == "1";

    public static IReadOnlyList<OutputRecord> Records(string file)
        => [.. File.ReadLines(Path.Combine(Root, file)).Where(line => line.Length > 0).Select(line => s_parser.Parse<OutputRecord>(line))];

    public static Build Build(string file) => Records(file).Last(record => record.Build is not null).Build;

    public static Finding Finding(string file) => Records(file).Last(record => record.Finding is not null).Finding;

    /// <summary>The golden text; writes it first when asked to.</summary>
    public static string Golden(string file, string actual)
    {
        string path = Path.Combine(Root, file);
        if (Rebaseline)
        {
            File.WriteAllText(path, actual);
        }

        return File.ReadAllText(path);
    }

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
