using System.Globalization;
using Google.Protobuf.WellKnownTypes;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Outputs.Render;

/// <summary>When it happened. What the tree says in full is only pointed at here.</summary>
internal static class StoryTimeline
{
    public static IEnumerable<(Timestamp Time, string What)> Of(Finding finding, Build? build)
    {
        var moments = new List<(Timestamp Time, string What)>();
        if (build is null)
        {
            foreach (Evidence evidence in finding.Evidence)
            {
                Add(evidence.Time, Printable.Sentence(evidence.Summary, 400));
            }

            return moments.OrderBy(static moment => moment.Time);
        }

        Add(build.StartTime, "build starts");
        foreach (BuildStep step in build.Steps.Where(static step => !step.Cached))
        {
            string name = Name(step);
            Add(step.StartTime, $"{name} starts");
            foreach (Egress egress in step.Egress)
            {
                Add(egress.StartTime, $"{name}: {FindingSentence.EgressWords(egress)}");
            }

            foreach (FileArtifact file in step.Files.Where(static file => file.From.Length > 0 || file.Executed || file.Persistence.Length > 0))
            {
                Add(file.Time, $"{name}: wrote {Printable.Line(file.Path, 200)}");
            }

            Add(step.EndTime, step.HasExitCode ? string.Create(CultureInfo.InvariantCulture, $"{name} ends, exit {step.ExitCode}") : $"{name} ends");
        }

        Add(build.EndTime, $"build ends: {BuildWords.Result(build.Result)}, {BuildWords.Verdict(build.Verdict)}");
        foreach (DeployedContainer container in build.Containers)
        {
            string name = container.Name.Length > 0 ? Printable.Line(container.Name, 64) : FindingSentence.Short(container.Id);
            Add(container.Time, $"container {name} is made");
            foreach (Egress egress in container.Egress)
            {
                Add(egress.StartTime, $"container {name}: {FindingSentence.EgressWords(egress)}");
            }
        }

        return moments.OrderBy(static moment => moment.Time);

        void Add(Timestamp? time, string what)
        {
            if (time is not null)
            {
                moments.Add((time, what));
            }
        }
    }

    private static string Name(BuildStep step)
        => step.Index > 0 ? string.Create(CultureInfo.InvariantCulture, $"step {step.Index}")
        : step.Kind == StepKind.Frontend ? "frontend"
        : $"step \"{Printable.Line(step.Instruction, 40)}\"";
}
