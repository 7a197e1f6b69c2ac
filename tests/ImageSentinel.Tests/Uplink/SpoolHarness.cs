using ImageSentinel.Agent.Uplink;
using ImageSentinel.V1;
using Microsoft.Extensions.Logging.Abstractions;

namespace ImageSentinel.Tests.Uplink;

/// <summary>Spools in directories of their own, and records to put into them.</summary>
internal static class SpoolHarness
{
    public static FindingSpool Open(string directory, Func<SpoolOptions, SpoolOptions>? change = null, TimeProvider? time = null)
    {
        var options = new SpoolOptions { Directory = directory };
        return new FindingSpool(change?.Invoke(options) ?? options, NullLogger<FindingSpool>.Instance, time ?? TimeProvider.System);
    }

    public static OutputRecord Finding(string uid, Severity severity = Severity.High, int padding = 0)
        => new() { Finding = new Finding { Uid = uid, Severity = severity, Message = new string('m', padding) } };

    public static OutputRecord Build(string id, Verdict verdict = Verdict.Clean, int padding = 0)
        => new() { Build = new Build { Id = id, Verdict = verdict, EngineSocket = new string('s', padding) } };

    public static IEnumerable<string> Names(this FindingSpool spool)
        => spool.ReadAfter(spool.SpoolId!, 0, int.MaxValue, long.MaxValue)!
            .Select(row => OutputRecord.Parser.ParseFrom(row.Record))
            .Select(record => record.Finding?.Uid ?? record.Build?.Id ?? "coverage");

    /// <summary>The files as they are on the disk at this moment, which is what kill -9 leaves behind.</summary>
    public static string CrashImage(string directory)
    {
        string image = Directory.CreateTempSubdirectory("imagesentinel-crash-").FullName;
        foreach (string file in Directory.EnumerateFiles(directory))
        {
            File.Copy(file, Path.Combine(image, Path.GetFileName(file)));
        }

        return image;
    }
}
