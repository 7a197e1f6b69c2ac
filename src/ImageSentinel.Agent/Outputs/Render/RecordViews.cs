using System.Globalization;
using ImageSentinel.V1;
using Spectre.Console;

namespace ImageSentinel.Agent.Outputs.Render;

/// <summary>Shows records that a command received: as they come, or all at the end.</summary>
internal interface IRecordView
{
    void Add(OutputRecord record);

    void Complete();
}

/// <summary>The output stream's own form.</summary>
internal sealed class JsonView(TextWriter output) : IRecordView
{
    public void Add(OutputRecord record)
    {
        output.Write(RecordJson.Line(record) + "\n");
        output.Flush();
    }

    public void Complete()
    {
    }
}

internal sealed class OcsfView(TextWriter output) : IRecordView
{
    public void Add(OutputRecord record)
    {
        output.Write(OcsfFinding.Line(record.Finding) + "\n");
        output.Flush();
    }

    public void Complete()
    {
    }
}

internal sealed class FalcoView(TextWriter output) : IRecordView
{
    public void Add(OutputRecord record)
    {
        output.Write(FalcoAlert.Line(record.Finding) + "\n");
        output.Flush();
    }

    public void Complete()
    {
    }
}

/// <summary>One line each, for following.</summary>
internal sealed class LineView(TextWriter output, bool isTerminal) : IRecordView
{
    // Not disposed: it owns nothing, the writer is the caller's.
    private readonly FindingLines _lines = new(output, isTerminal);

    public void Add(OutputRecord record)
    {
        if (record.Build is { } build)
        {
            output.Write($"{Cells.Time(build.StartTime)} {Cells.Verdict(build),-14} {FindingSentence.BuildName(build)}: {Cells.State(build)}, by {Cells.Client(build)}\n");
            output.Flush();
            return;
        }

        _lines.Show(record);
    }

    public void Complete()
    {
    }
}

internal sealed class BuildTable(IAnsiConsole console) : IRecordView
{
    private readonly Table _table = Cells.NewTable("started", "build", "image", "builder", "by", "state", "steps", "findings", "verdict");

    public void Add(OutputRecord record)
    {
        Build build = record.Build;
        _table.AddRow(
            new Text(Cells.Time(build.StartTime)),
            new Text(Printable.Line(build.Id, 32)),
            new Text(Cells.Image(build)),
            new Text(BuildWords.Builder(build.Builder)),
            new Text(Cells.Client(build)),
            new Text(Cells.State(build)),
            new Text(build.Steps.Count.ToString(CultureInfo.InvariantCulture)),
            new Text(build.FindingUids.Count.ToString(CultureInfo.InvariantCulture)),
            new Text(Cells.Verdict(build), Cells.StyleOf(build.Verdict)));
    }

    public void Complete()
    {
        if (_table.Rows.Count == 0)
        {
            console.WriteLine("no builds yet");
            return;
        }

        console.Write(_table);
    }
}

internal sealed class FindingTable(IAnsiConsole console) : IRecordView
{
    private readonly Table _table = Cells.NewTable("time", "severity", "detector", "uid", "what");

    public void Add(OutputRecord record)
    {
        Finding finding = record.Finding;
        _table.AddRow(
            new Text(Cells.Time(finding.StartTime ?? finding.Time)),
            new Text(SeverityTable.Of(finding.Severity).Word, Terminal.StyleOf(finding.Severity)),
            new Text(Printable.Line(finding.Detector, 40)),
            new Text(Printable.Line(finding.Uid, 40)),
            new Text(FindingSentence.Of(finding, null)));
    }

    public void Complete()
    {
        if (_table.Rows.Count == 0)
        {
            console.WriteLine("no findings");
            return;
        }

        console.Write(_table);
    }
}

/// <summary>A replay's builds and findings in their last state, since a capture tells each of them several times.</summary>
internal sealed class ReplayTable(IAnsiConsole console) : IRecordView
{
    private readonly RecentMap<string, OutputRecord> _builds = new(100_000);
    private readonly RecentMap<string, OutputRecord> _findings = new(100_000);

    public void Add(OutputRecord record)
    {
        switch (record.PayloadCase)
        {
            case OutputRecord.PayloadOneofCase.Build:
                _builds.Set(record.Build.Id, record);
                break;
            case OutputRecord.PayloadOneofCase.Finding:
                _findings.Set(record.Finding.Uid, record);
                break;
        }
    }

    public void Complete()
    {
        Fill(new BuildTable(console), _builds.Values);
        Fill(new FindingTable(console), _findings.Values);
    }

    private static void Fill(IRecordView table, IEnumerable<OutputRecord> records)
    {
        foreach (OutputRecord record in records)
        {
            table.Add(record);
        }

        table.Complete();
    }
}
