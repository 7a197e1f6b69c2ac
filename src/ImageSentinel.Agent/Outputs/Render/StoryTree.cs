using System.Globalization;
using ImageSentinel.V1;
using Spectre.Console;

namespace ImageSentinel.Agent.Outputs.Render;

/// <summary>Who did what through whom: client → build → step → process → connection and file → layer → image → container.</summary>
internal static class StoryTree
{
    public static Tree Of(Finding finding, Build? build)
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

        foreach (TaintOrigin origin in build.Origins)
        {
            AddOrigin(under, origin);
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
            TreeNode node = under.AddNode(new Text($"came out: image {image}{id}", new Style(decoration: Decoration.Bold)));
            foreach (DeployedContainer container in build.Containers)
            {
                AddContainer(node, container);
            }
        }

        return tree;
    }

    private static string BaseOf(Build build)
        => build.BaseImages.Count == 0 ? "" : $" from {Printable.Line(string.Join(", ", build.BaseImages), 200)}";

    private static void AddOrigin(TreeNode under, TaintOrigin origin)
    {
        string who = origin.Requester.Length > 0 ? $", asked for by {Printable.Sentence(origin.Requester, 200)}" : "";
        TreeNode node = under.AddNode(new Text(
            $"its image comes from build {Printable.Line(origin.BuildId, 64)} of {Cells.Clock(origin.Time)} ({BuildWords.Verdict(origin.Verdict)}){who}",
            Cells.StyleOf(origin.Verdict)));
        if (origin.Step.Length > 0)
        {
            node.AddNode(new Text($"\"{Printable.Line(origin.Step, 120)}\""));
        }

        if (origin.Destinations.Count > 0)
        {
            node.AddNode(new Text($"reached {Printable.Line(string.Join(", ", origin.Destinations), 300)}, never seen before"));
        }
    }

    private static void AddStep(TreeNode under, BuildStep step, bool accused)
    {
        string end = step.HasExitCode ? string.Create(CultureInfo.InvariantCulture, $", exit {step.ExitCode}") : "";
        string network = step.Network == StepNetwork.Host ? ", on the host's network" : "";
        Style style = accused ? Terminal.StyleOf(Severity.High) : Style.Plain;
        TreeNode node = under.AddNode(new Text($"{FindingSentence.StepName(step)}{(step.Cached ? ", cached: nothing ran" : "")}{network}{end}", style));

        // A process is told once, with all that it did below it.
        var processes = new Dictionary<(uint Pid, Google.Protobuf.WellKnownTypes.Timestamp? Start), TreeNode>();
        foreach (Egress egress in step.Egress)
        {
            Egress bare = egress.Clone();
            bare.Process = null;
            ProcessOf(egress.Process).AddNode(new Text(FindingSentence.EgressSentence(bare), egress.Novelty == Novelty.NeverSeen ? Terminal.StyleOf(Severity.High) : Style.Plain));
        }

        foreach (FileArtifact file in step.Files)
        {
            ProcessOf(file.Process).AddNode(new Text(FileLine(file), file.From.Length > 0 || file.Persistence.Length > 0 ? Terminal.StyleOf(Severity.Medium) : Style.Plain));
        }

        if (step.FilesNotListed > 0)
        {
            node.AddNode(new Text(string.Create(CultureInfo.InvariantCulture, $"wrote {step.FilesNotListed:N0} more files, of {step.FilesWritten:N0}")));
        }

        if (step.Layer.Length > 0 && step.FilesWritten > 0)
        {
            node.AddNode(new Text($"into layer {Printable.Line(FindingSentence.Short(step.Layer), 64)}"));
        }

        TreeNode ProcessOf(ProcessInfo? process)
        {
            if (process is null)
            {
                return node;
            }

            (uint, Google.Protobuf.WellKnownTypes.Timestamp?) key = (process.Pid, process.StartTime);
            if (!processes.TryGetValue(key, out TreeNode? own))
            {
                own = node.AddNode(new Text(string.Create(CultureInfo.InvariantCulture, $"{FindingSentence.Command(process)} (pid {process.Pid})")));
                processes[key] = own;
            }

            return own;
        }
    }

    private static string FileLine(FileArtifact file)
    {
        var parts = new List<string>();
        if (file.Kind != FileKind.Unspecified)
        {
            parts.Add(file.Kind.ToString().ToUpperInvariant());
        }

        if (file.Size > 0)
        {
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"{file.Size:N0} bytes"));
        }

        if (file.Persistence.Length > 0)
        {
            parts.Add(Printable.Line(file.Persistence, 100));
        }

        if (file.Indicator.Length > 0)
        {
            parts.Add($"on the feed: {Printable.Line(file.Indicator, 100)}");
        }

        if (file.Note.Length > 0)
        {
            parts.Add(Printable.Line(file.Note, 100));
        }

        parts.AddRange(file.Removed ? ["removed again"] : []);
        parts.AddRange(file.Executed ? ["and ran it"] : []);
        string about = parts.Count > 0 ? $" ({string.Join(", ", parts)})" : "";
        string hash = file.Sha256.Length > 0 ? $" sha256:{Printable.Line(file.Sha256, 64)}" : "";
        return $"wrote {Printable.Line(file.Path, 200)}{about}{hash}";
    }

    private static void AddContainer(TreeNode under, DeployedContainer container)
    {
        string name = container.Name.Length > 0 ? $"{Printable.Line(container.Name, 64)} " : "";
        string risks = container.Risks.Count > 0 ? $": {Printable.Line(string.Join(", ", container.Risks), 300)}" : "";
        TreeNode node = under.AddNode(new Text($"container {name}({FindingSentence.Short(container.Id)}){risks}", Terminal.StyleOf(Severity.High)));
        if (container.Client is { } client)
        {
            node.AddNode(new Text($"made by {FindingSentence.ClientName(client)}{(container.SameClient ? "; the same client as the build's" : "")}"));
        }

        foreach (string program in container.Programs)
        {
            node.AddNode(new Text($"runs {Printable.Line(program, 200)}, which the build left there"));
        }

        foreach (Egress egress in container.Egress)
        {
            node.AddNode(new Text(FindingSentence.EgressSentence(egress)));
        }
    }
}
