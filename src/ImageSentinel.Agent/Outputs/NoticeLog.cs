using ImageSentinel.V1;
using Microsoft.Extensions.Logging;

namespace ImageSentinel.Agent.Outputs;

/// <summary>Notices and changes of coverage as log lines, for runs where no journal takes them as entries of their own.</summary>
internal sealed partial class NoticeLog(ILogger<NoticeLog> logger) : IRecordOutput
{
    private readonly CoverageWatch _coverage = new();

    public string Name => "log";

    public void Write(IReadOnlyList<OutputRecord> batch)
    {
        foreach (OutputRecord record in batch)
        {
            if (record.Coverage is { } coverage)
            {
                foreach (Notice notice in _coverage.Compare(coverage))
                {
                    Tell(notice);
                }
            }
        }
    }

    public void Tell(Notice notice)
    {
        switch (notice.Kind)
        {
            case NoticeKind.CollectorLost or NoticeKind.CollectorRegained or NoticeKind.OutputFailed or NoticeKind.OutputRecovered:
                // Uplink and writer log these themselves, with more than the sentence.
                break;
            case NoticeKind.SensorDegraded or NoticeKind.EventsLost or NoticeKind.ConfigurationRefused:
                Worse(notice.Message);
                break;
            default:
                Told(notice.Message);
                break;
        }
    }

    public void Dispose()
    {
    }

    [LoggerMessage(4010, LogLevel.Information, "{Message}")]
    private partial void Told(string message);

    [LoggerMessage(4011, LogLevel.Warning, "{Message}")]
    private partial void Worse(string message);
}
