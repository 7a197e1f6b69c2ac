using System.Globalization;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.History;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Text;

namespace ImageSentinel.Detection.Detectors;

/// <summary>Kernel and engine disagree about a build: it ran and the engine has no record of it, or the record was taken away.</summary>
internal sealed class RecordMismatchDetector(CoreState state, FindingBook book)
{
    // An engine's own clean-up takes nothing younger (BuildKit's default: two days, and never the last fifty).
    private const long OwnCleanUp = 48 * 3600 * Stamp.Second;

    /// <summary>Steps ran that no record of the engine's history speaks of.</summary>
    public void Unrecorded(Build build, IReadOnlyList<BuildStep> steps, Stamp at)
    {
        // A record that was deleted while it ran is told as that.
        if (build.Findings.Any(static f => ReferenceEquals(f.Detector, DetectorDefinition.RecordMismatch)))
        {
            return;
        }

        string more = steps.Count > 1 ? string.Create(CultureInfo.InvariantCulture, $" (and {steps.Count - 1} more)") : "";
        Finding finding = Tell(
            build,
            $"{ClientPolicyDetector.Name(build)} was built and the engine's build history has nothing of it: step \"{SafeText.Display(steps[0].Instruction, 160)}\"{more} ran. "
                + "Its client asked not to be recorded, or the record was taken away.",
            at);
        finding.Step = steps[0];
        foreach (BuildStep step in steps)
        {
            finding.Add(new Evidence(step.Started, $"ran, and is in no record: {SafeText.Display(step.Instruction, 200)}"));
        }
    }

    /// <summary>A record was taken out of the history.</summary>
    /// <param name="age">Nanoseconds between the build's end and the deletion.</param>
    /// <param name="sweep">Others went with it, old ones among them.</param>
    public void Deleted(BuildRecord record, long age, bool sweep, Stamp at)
    {
        if (record.Build is not { } build || age > OwnCleanUp)
        {
            return;
        }

        bool suspicious = build.Findings.Any(static f => f.Severity >= Severity.Medium
            && !ReferenceEquals(f.Detector, DetectorDefinition.CoverageGap) && !ReferenceEquals(f.Detector, DetectorDefinition.RecordMismatch));
        if (!suspicious && (sweep || age > state.Policy.TimeWindow))
        {
            return;
        }

        Stamp deleted = record.Deleted!.Value;
        ClientSession? client = state.Clients.Sessions.LastOrDefault(s => s.Engine == record.Engine
            && s.First.Boot <= deleted.Boot + (100 * Stamp.Millisecond) && deleted.Since(s.Last) < 5 * Stamp.Second);
        string who = client?.Snapshot is { } process ? $" Connected last before that: {ClientPolicyDetector.Command(process)}." : "";
        string seconds = (age / Stamp.Second).ToString(CultureInfo.InvariantCulture);
        string when = record.CompletedWall == 0 ? "while it ran" : $"{seconds} s after its end";
        Finding finding = Tell(
            build,
            $"The record of {ClientPolicyDetector.Name(build)} was deleted from the engine's build history {when}.{who}",
            at);
        finding.Add(new Evidence(deleted, $"record {SafeText.Display(record.Ref, 100)} deleted", client?.Snapshot));
    }

    private Finding Tell(Build build, string message, Stamp at)
    {
        Finding finding = book.Of(build, DetectorDefinition.RecordMismatch, at);
        finding.Severity = Severity.High;
        finding.Message = message;
        book.Changed(finding, at);
        build.Dirty = true;
        return finding;
    }
}
