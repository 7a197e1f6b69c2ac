using ImageSentinel.Interop;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Outputs;

/// <summary>Where journal entries go: libsystemd in production, a list in tests.</summary>
public interface IJournal
{
    /// <exception cref="IOException">The entry was not taken.</exception>
    void Send(JournalFields entry);
}

/// <summary>The host's journal, through libsystemd.</summary>
public sealed class SystemJournal : IJournal
{
    public void Send(JournalFields entry)
    {
        if (Journal.Absence is { } why)
        {
            throw new IOException(why);
        }

        Journal.Send(entry.Fields.ToArray());
    }
}

/// <summary>One structured journal entry per finding activity, per ended build, and per notice.</summary>
public sealed class JournalOutput(IJournal journal) : IRecordOutput
{
    private const string Identifier = "imagesentinel";

    private readonly RecentMap<string, Build> _builds = new(256);
    private readonly CoverageWatch _coverage = new();

    public string Name => "journald";

    public void Write(IReadOnlyList<OutputRecord> batch)
    {
        foreach (OutputRecord record in batch)
        {
            switch (record.PayloadCase)
            {
                case OutputRecord.PayloadOneofCase.Finding:
                    _builds.TryGet(record.Finding.BuildId, out Build? build);
                    journal.Send(Entry(record.Finding, build));
                    break;

                case OutputRecord.PayloadOneofCase.Build:
                    _builds.Set(record.Build.Id, record.Build);
                    if (record.Build.State == BuildState.Ended)
                    {
                        journal.Send(Entry(record.Build));
                    }

                    break;

                case OutputRecord.PayloadOneofCase.Coverage:
                    foreach (Notice notice in _coverage.Compare(record.Coverage))
                    {
                        Tell(notice);
                    }

                    break;
            }
        }
    }

    public void Tell(Notice notice)
        => journal.Send(Start(JournalIds.Of(notice.Kind), JournalIds.PriorityOf(notice.Kind), Printable.Sentence(notice.Message, 4000)));

    public void Dispose()
    {
    }

    internal static JournalFields Entry(Finding finding, Build? build)
    {
        BuildStep? step = build?.Steps.FirstOrDefault(candidate => candidate.Id == finding.StepId);
        Egress? egress = finding.Evidence.FirstOrDefault(evidence => evidence.Egress is not null)?.Egress;
        return Start(JournalIds.Finding, SeverityTable.Of(finding.Severity).SyslogPriority, FindingSentence.Of(finding, build))
            .Add("IMAGESENTINEL_FINDING_UID", Printable.Line(finding.Uid, 64))
            .Add("IMAGESENTINEL_ACTIVITY", finding.Activity.ToString().ToLowerInvariant())
            .Add("IMAGESENTINEL_DETECTOR", Printable.Line(finding.Detector, 64))
            .Add("IMAGESENTINEL_SEVERITY", SeverityTable.Of(finding.Severity).Word)
            .Add("IMAGESENTINEL_TECHNIQUE", Printable.Line(string.Join(' ', finding.Techniques.Select(technique => technique.TechniqueId)), 256))
            .Add("IMAGESENTINEL_BUILD_ID", Printable.Line(finding.BuildId, 128))
            .Add("IMAGESENTINEL_STEP", step is null ? Printable.Line(finding.StepId, 128) : FindingSentence.StepName(step))
            .Add("IMAGESENTINEL_IMAGE", build is null ? Printable.Line(finding.ImageId, 128) : Image(build, finding.ImageId))
            .Add("IMAGESENTINEL_DEST_IP", egress is null ? null : Printable.Line(egress.Address, 128))
            .Add("IMAGESENTINEL_DEST_PORT", egress is { Port: > 0 } ? egress.Port.ToString(System.Globalization.CultureInfo.InvariantCulture) : null)
            .Add("IMAGESENTINEL_JSON", RecordJson.Line(finding));
    }

    internal static JournalFields Entry(Build build)
    {
        int priority = build.Verdict switch
        {
            Verdict.Malicious => 2,
            Verdict.Suspicious => 4,
            Verdict.Unknown => 5,
            _ => 6,
        };
        string client = build.Clients.FirstOrDefault() is { } first ? $", asked for by {FindingSentence.ClientName(first)}" : "";
        string message = $"{FindingSentence.BuildName(build)} ended: {BuildWords.Result(build.Result)}, verdict {BuildWords.Verdict(build.Verdict)}{client}";
        return Start(JournalIds.BuildEnded, priority, message)
            .Add("IMAGESENTINEL_BUILD_ID", Printable.Line(build.Id, 128))
            .Add("IMAGESENTINEL_VERDICT", BuildWords.Verdict(build.Verdict))
            .Add("IMAGESENTINEL_IMAGE", Image(build, ""))
            .Add("IMAGESENTINEL_JSON", RecordJson.Line(build));
    }

    private static JournalFields Start(string messageId, int priority, string message)
        => new JournalFields()
            .Add("MESSAGE", message)
            .Add("MESSAGE_ID", messageId)
            .Add("PRIORITY", priority)
            .Add("SYSLOG_IDENTIFIER", Identifier);

    private static string Image(Build build, string fallback)
        => build.Image is null ? Printable.Line(fallback, 200)
            : Printable.Line(build.Image.Tags.Count > 0 ? string.Join(' ', build.Image.Tags) : build.Image.Id, 400);
}
