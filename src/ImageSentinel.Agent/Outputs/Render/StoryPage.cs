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
        console.Write(Chain(finding, build));
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

    /// <summary>client → build → step → process → destination → image.</summary>
    private static Tree Chain(Finding finding, Build? build)
    {
        if (build is null)
        {
            var alone = new Tree(new Text("the build is no longer kept; the evidence is"));
            foreach (Evidence evidence in finding.Evidence)
            {
                alone.AddNode(new Text(Printable.Sentence(evidence.Summary, 400)));
            }

            return alone;
        }

        var tree = new Tree(new Text(build.Clients.Count == 0 ? "requested by: nobody could be named" : $"requested by {FindingSentence.ClientName(build.Clients[0])}"));
        TreeNode under = tree.AddNode(new Text($"{FindingSentence.BuildName(build)} ({BuildWords.Builder(build.Builder)}){BaseOf(build)}"));
        foreach (BuildClient other in build.Clients.Skip(1))
        {
            under.AddNode(new Text($"or requested by {FindingSentence.ClientName(other)}"));
        }

        foreach (BuildStep step in build.Steps)
        {
            AddStep(under, step, step.Id == finding.StepId);
        }

        foreach (DaemonFetch fetch in build.DaemonFetches)
        {
            string where = fetch.Egress is null ? "" : $" {FindingSentence.EgressSentence(fetch.Egress)}";
            under.AddNode(new Text($"daemon fetch: {Printable.Line(fetch.Kind, 20)} {Printable.Line(fetch.What, 200)}{where}"));
        }

        if (Cells.Image(build) is { Length: > 0 } image)
        {
            string id = build.Image.Tags.Count > 0 && build.Image.Id.Length > 0 ? $" ({FindingSentence.Short(build.Image.Id)})" : "";
            under.AddNode(new Text($"came out: image {image}{id}", new Style(decoration: Decoration.Bold)));
        }

        return tree;
    }

    private static string BaseOf(Build build)
        => build.BaseImages.Count == 0 ? "" : $" from {Printable.Line(string.Join(", ", build.BaseImages), 200)}";

    private static void AddStep(TreeNode under, BuildStep step, bool accused)
    {
        string end = step.HasExitCode ? string.Create(CultureInfo.InvariantCulture, $", exit {step.ExitCode}") : "";
        string network = step.Network == StepNetwork.Host ? ", on the host's network" : "";
        Style style = accused ? Terminal.StyleOf(Severity.High) : Style.Plain;
        TreeNode node = under.AddNode(new Text($"{FindingSentence.StepName(step)}{(step.Cached ? ", cached" : "")}{network}{end}", style));
        foreach (Egress egress in step.Egress)
        {
            TreeNode from = egress.Process is null
                ? node
                : node.AddNode(new Text(string.Create(CultureInfo.InvariantCulture, $"{FindingSentence.Command(egress.Process)} (pid {egress.Process.Pid})")));
            Egress bare = egress.Clone();
            bare.Process = null;
            from.AddNode(new Text(FindingSentence.EgressSentence(bare), egress.Novelty == Novelty.NeverSeen ? Terminal.StyleOf(Severity.High) : Style.Plain));
        }

        foreach (FileArtifact file in step.Files)
        {
            string ran = file.Executed ? ", and ran it" : "";
            node.AddNode(new Text($"wrote {Printable.Line(file.Path, 200)} ({file.Kind.ToString().ToUpperInvariant()}, {file.Size.ToString("N0", CultureInfo.InvariantCulture)} bytes{ran})"));
        }
    }

    private static void Timeline(IAnsiConsole console, Finding finding, Build? build)
    {
        var moments = new List<(Google.Protobuf.WellKnownTypes.Timestamp Time, string What)>();
        if (build is not null)
        {
            Add(build.StartTime, "build starts");
            foreach (BuildStep step in build.Steps)
            {
                Add(step.StartTime, $"{FindingSentence.StepName(step)} starts");
                foreach (Egress egress in step.Egress)
                {
                    Add(egress.StartTime, FindingSentence.EgressSentence(egress));
                }

                foreach (FileArtifact file in step.Files)
                {
                    Add(file.Time, $"wrote {Printable.Line(file.Path, 200)}");
                }

                Add(step.EndTime, $"{FindingSentence.StepName(step)} ends");
            }

            Add(build.EndTime, $"build ends: {BuildWords.Result(build.Result)}");
        }
        else
        {
            foreach (Evidence evidence in finding.Evidence)
            {
                Add(evidence.Time, Printable.Sentence(evidence.Summary, 400));
            }
        }

        var grid = new Grid();
        grid.AddColumn(new GridColumn().NoWrap());
        grid.AddColumn();
        foreach ((Google.Protobuf.WellKnownTypes.Timestamp time, string what) in moments.OrderBy(moment => moment.Time).Take(LongestTimeline))
        {
            grid.AddRow(new Text(Cells.Clock(time)), new Text(what));
        }

        if (moments.Count > LongestTimeline)
        {
            grid.AddRow(Text.Empty, new Text(string.Create(CultureInfo.InvariantCulture, $"… and {moments.Count - LongestTimeline} more")));
        }

        if (moments.Count > 0)
        {
            console.Write(new Text("when\n", new Style(decoration: Decoration.Bold)));
            console.Write(grid);
            console.WriteLine();
        }

        void Add(Google.Protobuf.WellKnownTypes.Timestamp? time, string what)
        {
            if (time is not null)
            {
                moments.Add((time, what));
            }
        }
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
