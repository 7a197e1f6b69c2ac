using System.Globalization;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Files;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Detectors;

/// <summary>A program that appeared while, or right after, the same line of processes talked to a destination never seen before.</summary>
/// <remarks>
/// Time and ancestry are what ties a file to a connection; the bytes are not followed. So a confidence says how close the
/// two are: the connecting process itself, its relatives, or merely the same step.
/// </remarks>
internal sealed class DownloadedExecutableDetector(CoreState state, FindingBook book)
{
    // A connect is stamped with the tick before it, a file event with the moment it was read.
    private const long Slack = 20 * Stamp.Millisecond;

    /// <summary>How long after the connecting process ended a file still counts as what it brought.</summary>
    private const long RightAfter = 10 * Stamp.Second;

    /// <summary>Assumed end of a connection whose process is no longer known.</summary>
    private const long LongestDownload = 10 * 60 * Stamp.Second;

    private const double Pipeline = 0.85;

    /// <summary>Judges all files of a step anew when there are new ones, or new destinations.</summary>
    public void Judge(BuildStep step, Stamp at)
    {
        (int, long) now = (step.NewDestinations, step.Files.CountOf(FileKind.Elf) + step.Files.CountOf(FileKind.Script));
        if (now == step.Files.Judged)
        {
            return;
        }

        step.Files.Judged = now;
        foreach (StepFile file in step.Files.All.Where(static f => f.WriterKnown).ToList())
        {
            Judge(step, file, at);
        }
    }

    public void Judge(BuildStep step, StepFile file, Stamp at)
    {
        Attribute(step, file);
        if (file is not { From: { } egress, Runnable: true } || step.Build is not { } build)
        {
            return;
        }

        Severity severity = SeverityOf(file, egress);
        if (severity <= file.Told)
        {
            return;
        }

        file.Told = severity;
        Finding finding = book.Of(build, DetectorDefinition.DownloadedExecutable, at);
        List<(BuildStep Step, StepFile File)> all = [.. build.Steps.SelectMany(static s => s.Files.All.Select(f => (s, f)))
            .Where(static p => p.f is { From: not null, Runnable: true })
            .OrderByDescending(static p => p.f.Told).ThenByDescending(static p => p.f.Executed).ThenBy(static p => p.f.First.Boot)];
        (BuildStep worstStep, StepFile worst) = all[0];
        finding.Step = worstStep;
        finding.Severity = severity > finding.Severity ? severity : finding.Severity;
        finding.Confidence = worst.FromConfidence;
        finding.Message = Message(build, worstStep, worst, all.Count - 1);
        finding.ReplaceAll(EvidenceOf(all));
        book.Changed(finding, at);
    }

    private static Severity SeverityOf(StepFile file, Egress egress)
    {
        if (egress.Novelty == Novelty.Learning)
        {
            return Severity.Informational;
        }

        bool installed = file.WrittenBy is { } writer && ProcessLine.Installs(writer);
        return file.FromConfidence >= Pipeline && !installed
            ? (file.Executed ? Severity.Critical : Severity.High)
            : file.Executed ? Severity.High : Severity.Medium;
    }

    private void Attribute(BuildStep step, StepFile file)
    {
        foreach (Egress egress in step.Egress)
        {
            if (egress.Novelty is not (Novelty.NeverSeen or Novelty.Learning)
                || egress.Outcome is not (EgressOutcome.Established or EgressOutcome.InProgress or EgressOutcome.Sent)
                || file.First.Wall < egress.First.Wall - Slack
                || file.First.Wall > EndOf(egress) + RightAfter)
            {
                continue;
            }

            double closeness = file.WrittenBy is { } writer && egress.Process is { } process ? ProcessLine.Closeness(writer, process) : 0.6;
            if (closeness > file.FromConfidence)
            {
                file.From = egress;
                file.FromConfidence = closeness;
                step.Files.Changed = true;
            }
        }
    }

    private long EndOf(Egress egress)
    {
        if (egress.Process is { } process && state.Tree.FindAt(process.Pid, process.Started.Wall) is { } node && node.Started == process.Started)
        {
            return node.Ended?.Wall ?? long.MaxValue - RightAfter;
        }

        return egress.Last.Wall + LongestDownload;
    }

    private static string Message(Build build, BuildStep step, StepFile file, int more)
    {
        string ran = file.Executed ? ", and the build ran it" : "";
        string others = more > 0 ? string.Create(CultureInfo.InvariantCulture, $" ({more} more programs likewise)") : "";
        return $"{Wording.Capital(Wording.Step(step))} of {Wording.Build(build)} wrote {Wording.File(file)} "
            + $"after it reached {file.From!.Destination}, never seen before{ran}{others}.";
    }

    // Both ends of each: the connection, then the file that came of it.
    private static IEnumerable<Evidence> EvidenceOf(List<(BuildStep Step, StepFile File)> files)
    {
        Egress? told = null;
        foreach ((BuildStep step, StepFile file) in files.OrderBy(static p => p.File.From!.First.Boot).ThenBy(static p => p.File.First.Boot).Take(Finding.MaximumEvidence / 2))
        {
            Egress egress = file.From!;
            if (!ReferenceEquals(told, egress))
            {
                told = egress;
                yield return new Evidence(egress.First, $"{Wording.Step(step)} reached {egress.Destination}; {egress.Reason}", egress.Process, egress);
            }

            string how = file.FromConfidence switch
            {
                >= 0.95 => "the process that connected",
                >= Pipeline => "a relative of the process that connected",
                _ => "another process of the step",
            };
            string by = file.WrittenBy is { } writer ? $"{how}, {Wording.Process(writer)}," : how;
            yield return new Evidence(file.First, $"{by} wrote {Wording.File(file)}", file.WrittenBy, File: file);
            if (file.ExecutedAt is { } ran)
            {
                yield return new Evidence(ran, $"{Wording.Path(file)} was executed in the build", File: file);
            }
        }
    }
}
