using System.Globalization;
using ImageSentinel.V1;
using Spectre.Console;

namespace ImageSentinel.Agent.Outputs;

/// <summary>One line per finding for a person who watches.</summary>
/// <remarks>
/// A finding is shown when it is made and again only when it grew more severe; its other updates belong to
/// <c>explain</c>. On an interactive terminal the end of each build is shown as well.
/// </remarks>
internal sealed class FindingLines
{
    private const int Remembered = 4096;

    private readonly IAnsiConsole _console;
    private readonly TextWriter _writer;
    private readonly bool _interactive;
    private readonly RecentMap<string, Severity> _shown = new(Remembered);
    private readonly RecentMap<string, Build> _builds = new(256);

    public FindingLines(TextWriter writer, bool isTerminal)
    {
        _writer = writer;
        _interactive = isTerminal;
        _console = Terminal.Create(writer, isTerminal, Terminal.Endless);
    }

    public void Show(OutputRecord record)
    {
        switch (record.PayloadCase)
        {
            case OutputRecord.PayloadOneofCase.Build:
                Remember(record.Build);
                break;
            case OutputRecord.PayloadOneofCase.Finding:
                Show(record.Finding);
                break;
        }

        _writer.Flush();
    }

    private void Show(Finding finding)
    {
        bool known = _shown.TryGet(finding.Uid, out Severity before);
        if (finding.Activity == Activity.Close || (known && finding.Severity <= before))
        {
            return;
        }

        _shown.Set(finding.Uid, finding.Severity);
        _builds.TryGet(finding.BuildId, out Build? build);
        SeverityRow row = SeverityTable.Of(finding.Severity);
        string text = $"{Printable.Line(finding.Detector, 40),-18} {FindingSentence.Of(finding, build)}";
        Line(Moment(finding), row.Word.ToUpperInvariant(), Terminal.StyleOf(finding.Severity), text, Style.Plain);
    }

    private void Remember(Build build)
    {
        _builds.Set(build.Id, build);
        if (!_interactive || build.State != BuildState.Ended)
        {
            return;
        }

        string text = string.Create(
            CultureInfo.InvariantCulture,
            $"{FindingSentence.BuildName(build)} ended: {BuildWords.Result(build.Result)}, {BuildWords.Verdict(build.Verdict)}, {build.Steps.Count} steps seen");
        Line(build.EndTime?.ToDateTimeOffset() ?? DateTimeOffset.UtcNow, "build", Style.Plain, text, new Style(decoration: Decoration.Dim));
    }

    private void Line(DateTimeOffset time, string word, Style wordStyle, string text, Style textStyle)
    {
        // Text, not Markup: brackets in what somebody else wrote are brackets.
        _console.Write(new Text(time.UtcDateTime.ToString("HH:mm:ss'Z' ", CultureInfo.InvariantCulture)));
        _console.Write(new Text($"{word,-8} ", wordStyle));
        _console.Write(new Text(text, textStyle));
        _writer.Write('\n');
    }

    private static DateTimeOffset Moment(Finding finding)
        => (finding.StartTime ?? finding.Time)?.ToDateTimeOffset() ?? DateTimeOffset.UtcNow;
}
