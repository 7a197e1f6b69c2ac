using System.Globalization;
using ImageSentinel.V1;
using Spectre.Console;

namespace ImageSentinel.Agent.Outputs.Render;

/// <summary>
/// <c>explain</c>: one finding as a person would tell it. A tree says who did what through whom; a timeline says when;
/// what could not be seen is said as plainly as what was.
/// </summary>
internal static class StoryPage
{
    private const int LongestTimeline = 40;

    public static void Write(IAnsiConsole console, ExplainResponse story)
    {
        Finding finding = story.Finding;
        Build? build = story.Build;
        SeverityRow severity = SeverityTable.Of(finding.Severity);
        console.Write(new Text(severity.Word.ToUpperInvariant(), Terminal.StyleOf(finding.Severity)));
        console.Write(new Text($"  {Printable.Sentence(finding.Title, 200)}\n", new Style(decoration: Decoration.Bold)));
        console.Write(new Text($"{FindingSentence.Of(finding, build)}\n\n"));
        Facts(console, finding, build);
        console.WriteLine();
        console.Write(StoryTree.Of(finding, build));
        console.WriteLine();
        Timeline(console, finding, build);
        Coverage(console, build?.Coverage ?? finding.Coverage, build);
        Next(console, story);
    }

    private static void Facts(IAnsiConsole console, Finding finding, Build? build)
    {
        var grid = new Grid();
        grid.AddColumn(new GridColumn().NoWrap());
        grid.AddColumn();
        Row(grid, "finding", $"{Printable.Line(finding.Uid, 64)} by {Printable.Line(finding.Detector, 40)}, confidence {finding.Confidence.ToString("0.##", CultureInfo.InvariantCulture)}");
        foreach (Technique technique in finding.Techniques)
        {
            string tactic = technique.TacticId.Length > 0 ? $" ({technique.TacticName}, {technique.TacticId})" : "";
            Row(grid, "ATT&CK", Printable.Sentence($"{technique.TechniqueId} {technique.TechniqueName}{tactic}", 200));
        }

        if (build is not null)
        {
            string verdict = build.State == BuildState.Ended ? $"{BuildWords.Verdict(build.Verdict)}; {BuildWords.Result(build.Result)}" : "still running";
            Row(grid, "verdict", verdict, Cells.StyleOf(build.Verdict));
        }

        console.Write(grid);
    }

    private static void Row(Grid grid, string name, string text, Style? style = null)
        => grid.AddRow(new Text(name, new Style(decoration: Decoration.Bold)), new Text(text, style ?? Style.Plain));

    private static void Timeline(IAnsiConsole console, Finding finding, Build? build)
    {
        List<(Google.Protobuf.WellKnownTypes.Timestamp Time, string What)> moments = [.. StoryTimeline.Of(finding, build)];
        if (moments.Count == 0)
        {
            return;
        }

        var grid = new Grid();
        grid.AddColumn(new GridColumn().NoWrap());
        grid.AddColumn();
        foreach ((Google.Protobuf.WellKnownTypes.Timestamp time, string what) in moments.Take(LongestTimeline))
        {
            grid.AddRow(new Text(Cells.Clock(time)), new Text(what));
        }

        if (moments.Count > LongestTimeline)
        {
            grid.AddRow(Text.Empty, new Text(string.Create(CultureInfo.InvariantCulture, $"… and {moments.Count - LongestTimeline} more")));
        }

        console.Write(new Text("when\n", new Style(decoration: Decoration.Bold)));
        console.Write(grid);
        console.WriteLine();
    }

    private static void Coverage(IAnsiConsole console, Coverage? coverage, Build? build)
    {
        var lines = new List<string>();
        foreach (SensorCoverage sensor in coverage?.Sensors ?? [])
        {
            if (sensor.State != SensorState.Active)
            {
                lines.Add(Printable.Sentence($"{sensor.Sensor} {BuildWords.Sensor(sensor.State)}: {sensor.Reason}", 400));
            }
        }

        if (coverage is { LostEvents: > 0 })
        {
            lines.Add(string.Create(CultureInfo.InvariantCulture, $"{coverage.LostEvents} events lost while it ran"));
        }

        if (build?.Steps.Sum(static step => (long)step.FilesNotLookedAt) is > 0 and var unread)
        {
            lines.Add(string.Create(CultureInfo.InvariantCulture, $"{unread:N0} files were counted and not looked into"));
        }

        lines.AddRange((coverage?.Notes ?? []).Concat(build?.Notes ?? []).Distinct().Select(note => Printable.Sentence(note, 400)));
        console.Write(new Text("what could not be seen\n", new Style(decoration: Decoration.Bold)));
        foreach (string line in lines.Count > 0 ? lines : ["nothing is known to be missing"])
        {
            console.Write(new Text($"  {line}\n"));
        }
    }

    private static void Next(IAnsiConsole console, ExplainResponse story)
    {
        IEnumerable<string> steps = story.Finding.NextSteps.Select(step => Printable.Sentence(step, 400));
        IEnumerable<string> related = story.Related.Select(other => $"see also: imagesentinel explain {Printable.Line(other.Uid, 64)}  ({SeverityTable.Of(other.Severity).Word}, {Printable.Line(other.Detector, 40)})");
        string[] all = [.. steps, .. related];
        if (all.Length == 0)
        {
            return;
        }

        console.WriteLine();
        console.Write(new Text("what to do\n", new Style(decoration: Decoration.Bold)));
        foreach (string line in all)
        {
            console.Write(new Text($"  {line}\n"));
        }
    }
}
