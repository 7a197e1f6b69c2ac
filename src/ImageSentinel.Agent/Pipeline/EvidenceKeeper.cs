using System.Collections.Concurrent;
using ImageSentinel.Detection.Model;
using ImageSentinel.Sensors.Replay;
using ImageSentinel.Sensors.Stream;
using Microsoft.Extensions.Logging;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>Keeps a trimmed capture of each build that has a finding worth waking somebody for, beside the spool.</summary>
/// <remarks>
/// Written some seconds after the last news of the build, so that its end and its first container are in. Owns its folder
/// and nothing else; bounded: the oldest captures go first. What cannot be written is told once and is no reason to stop.
/// </remarks>
internal sealed partial class EvidenceKeeper(string stateDirectory, CaptureWindow window, ILogger logger) : IDisposable
{
    /// <summary>Captures kept, and bytes they may take together.</summary>
    public const int MaximumFiles = 64;
    public const long MaximumBytes = 64L << 20;

    /// <summary>Larger ones are not kept: a story that long is recorded on purpose.</summary>
    private const int MaximumCapture = 8 << 20;

    private static readonly TimeSpan s_quiet = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan s_lead = TimeSpan.FromSeconds(5);

    private readonly string _folder = Path.Combine(stateDirectory, "evidence");
    private readonly ConcurrentDictionary<string, DateTimeOffset> _started = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Timer> _due = new(StringComparer.Ordinal);
    private readonly Lock _writing = new();
    private bool _failing;

    /// <summary>Called for every record that goes out, on the pipeline thread. Cheap.</summary>
    public void On(V1.OutputRecord record)
    {
        if (record.Build is { } build)
        {
            _started[build.Id] = build.StartTime.ToDateTimeOffset();
            if (_started.Count > 1024)
            {
                _started.Clear();
            }
        }
        else if (record.Finding is { BuildId.Length: > 0, Severity: >= V1.Severity.Medium } finding)
        {
            string id = finding.BuildId;
            Timer timer = _due.GetOrAdd(id, static (key, keeper) => new Timer(_ => keeper.Write(key)), this);
            _ = timer.Change(s_quiet, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>The kept capture of a build; null when there is none.</summary>
    public byte[]? Find(string buildId)
    {
        if (!IsName(buildId))
        {
            return null;
        }

        // Asked for before the quiet time is over: what there is by now.
        if (_due.ContainsKey(buildId))
        {
            Write(buildId);
        }

        try
        {
            return File.ReadAllBytes(PathOf(buildId));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    public void Dispose()
    {
        foreach (Timer timer in _due.Values)
        {
            timer.Dispose();
        }
    }

    private static bool IsName(string buildId) => buildId.Length is > 0 and < 64 && buildId.All(char.IsAsciiLetterOrDigit);

    private string PathOf(string buildId) => Path.Combine(_folder, buildId + ".iscap");

    private void Write(string buildId)
    {
        if (_due.TryRemove(buildId, out Timer? timer))
        {
            timer.Dispose();
        }

        if (!_started.TryGetValue(buildId, out DateTimeOffset started) || !IsName(buildId))
        {
            return;
        }

        lock (_writing)
        {
            try
            {
                byte[] capture = Trimmed(window.Since((started - s_lead - DateTimeOffset.UnixEpoch).Ticks * 100, out _));
                if (capture.Length is > 0 and <= MaximumCapture)
                {
                    Directory.CreateDirectory(_folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
                    File.WriteAllBytes(PathOf(buildId), capture);
                    MakeRoom();
                }

                _failing = false;
            }
#pragma warning disable CA1031 // On a timer: what is thrown here would end the agent, and a capture is not worth that.
            catch (Exception e)
#pragma warning restore CA1031
            {
                if (!_failing)
                {
                    _failing = true;
                    NotKept(e.Message);
                }
            }
        }
    }

    private static byte[] Trimmed(IReadOnlyList<SensorItem> items)
    {
        if (items.Count == 0)
        {
            return [];
        }

        var raw = new MemoryStream();
        using (var writer = new CaptureWriter(raw))
        {
            foreach (SensorItem item in items)
            {
                writer.Write(item);
            }
        }

        byte[] all = raw.ToArray();
        var trimmed = new MemoryStream();
        using (var writer = new CaptureWriter(trimmed))
        {
            CaptureTrimmer.Trim(() => new CaptureReader(new MemoryStream(all), "window"), item => writer.Write(item));
        }

        return trimmed.ToArray();
    }

    private void MakeRoom()
    {
        FileInfo[] files = [.. new DirectoryInfo(_folder).EnumerateFiles("*.iscap").OrderByDescending(static f => f.LastWriteTimeUtc)];
        long bytes = 0;
        for (int i = 0; i < files.Length; i++)
        {
            bytes += files[i].Length;
            if (i >= MaximumFiles || (i > 0 && bytes > MaximumBytes))
            {
                files[i].Delete();
            }
        }
    }

    [LoggerMessage(3121, LogLevel.Warning, "the capture of a build with findings cannot be kept: {Problem}")]
    private partial void NotKept(string problem);
}
