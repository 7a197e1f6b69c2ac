using ImageSentinel.Agent.Outputs;
using ImageSentinel.Detection.Indicators;
using Microsoft.Extensions.Logging;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>The operator's feeds on disk: read at start and again when one of them changes.</summary>
internal sealed partial class IndicatorFiles(ILogger logger) : IDisposable
{
    private const long LongestFile = 512L << 20;

    private static readonly TimeSpan s_lookEvery = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private IReadOnlyList<string> _files = [];
    private string _state = "";
    private Timer? _timer;

    /// <summary>Reads all files; one that is bad or absent is told in one line and leaves the others in force.</summary>
    public IndicatorSet Load(IReadOnlyList<string> files)
    {
        lock (_lock)
        {
            _files = files;
            _state = StateOf(files);
            return Read(files, DateTimeOffset.UtcNow, Tell);
        }
    }

    /// <summary>Looks at the files now and then, and hands a fresh set over when one changed.</summary>
    public void Watch(Action<IndicatorSet> changed)
        => _timer = new Timer(
            _ =>
            {
                IReadOnlyList<string> files = _files;
                if (files.Count > 0 && StateOf(files) is var now && now != _state)
                {
                    changed(Load(files));
                }
            },
            null,
            s_lookEvery,
            s_lookEvery);

    public void Dispose() => _timer?.Dispose();

    /// <param name="files">Paths, as the configuration names them.</param>
    /// <param name="now">For indicators that expire.</param>
    /// <param name="tell">Called for each file: path, what came of it, why it could not be read (or empty).</param>
    public static IndicatorSet Read(IReadOnlyList<string> files, DateTimeOffset now, Action<string, IndicatorReport, string> tell)
    {
        if (files.Count == 0)
        {
            return IndicatorSet.Empty;
        }

        var builder = new IndicatorSetBuilder();
        foreach (string file in files)
        {
            builder.From(file);
            try
            {
                if (new FileInfo(file).Length > LongestFile)
                {
                    tell(file, default, $"is longer than {LongestFile >> 20} MiB");
                    continue;
                }

                byte[] bytes = File.ReadAllBytes(file);
                tell(file, StixReader.IsJson(bytes) ? StixReader.Read(bytes, builder, now) : PlainListReader.Read(bytes, builder), "");
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                tell(file, default, e.Message);
            }
        }

        return builder.Build();
    }

    // Size, time and inode change together or the file did not.
    private static string StateOf(IReadOnlyList<string> files)
        => string.Join('|', files.Select(static f => new FileInfo(f) is { Exists: true } info ? $"{info.Length} {info.LastWriteTimeUtc.Ticks}" : "absent"));

    private void Tell(string file, IndicatorReport report, string problem)
    {
        string path = Printable.Line(file, 300);
        if (problem.Length > 0)
        {
            NotRead(path, Printable.Line(problem, 300));
        }
        else if (report.Bad > 0)
        {
            Partly(path, report.Added, report.Skipped, report.Bad, report.FirstProblem);
        }
        else
        {
            Taken(path, report.Added, report.Skipped);
        }
    }

    [LoggerMessage(3301, LogLevel.Information, "indicators: {File}: {Added} taken, {Skipped} of other kinds skipped")]
    private partial void Taken(string file, int added, int skipped);

    [LoggerMessage(3302, LogLevel.Warning, "indicators: {File}: {Added} taken, {Skipped} of other kinds skipped, {Bad} bad; the first: {Problem}")]
    private partial void Partly(string file, int added, int skipped, int bad, string problem);

    [LoggerMessage(3303, LogLevel.Warning, "indicators: {File} was not read and matches nothing: {Problem}")]
    private partial void NotRead(string file, string problem);
}
