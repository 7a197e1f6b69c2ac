using System.Globalization;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Files;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Detectors;

/// <summary>A step writes where things run again by themselves: cron tables, SSH keys, ld.so.preload, profiles, services.</summary>
/// <remarks>
/// Packages bring services and cron tables, and half of all images extend a shell profile: what a package manager writes,
/// and a profile alone, is in the record and wakes nobody. It weighs when the build also reached something never seen,
/// when several kinds come together, and always for what is loaded into every program.
/// </remarks>
internal sealed class PersistenceDetector(FindingBook book)
{
    public void Judge(BuildStep step, StepFile file, Stamp at)
    {
        if (step.Build is not { } build || step.Kind != StepKind.Run || file.Size == 0)
        {
            return;
        }

        List<(BuildStep Step, StepFile File)> all = [.. build.Steps.SelectMany(static s => s.Files.All.Select(f => (s, f)))
            .Where(static p => p.f.Persistence != PersistenceKind.None && p.f.Size != 0 && p.f.WriterKnown)
            .OrderBy(static p => p.f.First.Boot)];
        int kinds = all.Where(static p => IsOwn(p.File)).Select(static p => p.File.Persistence).Distinct().Count();
        bool wentOut = build.Steps.Any(static s => s.Egress.Any(static e => e.Novelty == Novelty.NeverSeen));
        (BuildStep worstStep, StepFile worst) = all.MaxBy(p => SeverityOf(p.File, wentOut, kinds));
        Severity severity = SeverityOf(worst, wentOut, kinds);
        if (severity == Severity.None)
        {
            return;
        }

        Finding finding = book.Of(build, DetectorDefinition.PersistenceWrite, at);
        string message = Message(build, worstStep, all);
        List<Evidence> evidence = [.. all.Take(Finding.MaximumEvidence).Select(static p => new Evidence(
            p.File.First,
            $"{Wording.Step(p.Step)} wrote {Persistence.Word(p.File.Persistence)}: {Wording.File(p.File)}",
            p.File.WrittenBy,
            File: p.File))];
        if (finding.Severity == severity && finding.Message == message
            && finding.Evidence.Select(static e => e.Summary).SequenceEqual(evidence.Select(static e => e.Summary)))
        {
            return;
        }

        finding.Step = worstStep;
        finding.Severity = severity > finding.Severity ? severity : finding.Severity;
        finding.Message = message;
        finding.ReplaceAll(evidence);
        book.Changed(finding, at);
    }

    private static bool IsOwn(StepFile file) => file.WrittenBy is not { } writer || !ProcessLine.Installs(writer);

    private static Severity SeverityOf(StepFile file, bool wentOut, int kinds)
    {
        if (file.Persistence == PersistenceKind.Preload)
        {
            return Severity.High;
        }

        if (!IsOwn(file))
        {
            return file.Persistence == PersistenceKind.AuthorizedKeys ? Severity.Medium
                : file.From is not null && file.Persistence != PersistenceKind.Profile ? Severity.Low
                : Severity.None;
        }

        if (file.Persistence == PersistenceKind.Profile)
        {
            return wentOut ? Severity.Medium : kinds > 1 ? Severity.Low : Severity.None;
        }

        return wentOut || kinds > 1 ? Severity.High : Severity.Medium;
    }

    private static string Message(Build build, BuildStep step, List<(BuildStep Step, StepFile File)> all)
    {
        string what = string.Join("; ", all.GroupBy(static p => p.File.Persistence).Select(static g =>
            $"{Persistence.Word(g.Key)} ({Wording.Path(g.First().File)}"
            + (g.Count() > 1 ? string.Create(CultureInfo.InvariantCulture, $" and {g.Count() - 1} more)") : ")")));
        return $"{Wording.Capital(Wording.Step(step))} of {Wording.Build(build)} wrote {what}.";
    }
}
