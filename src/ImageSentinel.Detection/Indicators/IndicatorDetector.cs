using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Text;

namespace ImageSentinel.Detection.Indicators;

/// <summary>Holds what builds do against the operator's feeds. What is listed is told whatever the baseline says of it, and
/// also while it learns.</summary>
internal sealed class IndicatorDetector(CoreState state, FindingBook book)
{
    /// <summary>A destination and its names; called again when a name is added.</summary>
    public void Judge(BuildStep step, Egress egress, Stamp at)
    {
        if (step.Build is { } build)
        {
            Judge(build, step, egress, StepText.Describe(step), at);
        }
    }

    /// <summary>A fetch of the engine itself: where from, and what.</summary>
    public void Judge(Build build, DaemonFetch fetch, Stamp at)
    {
        string who = $"the engine's own fetch ({fetch.Kind})";
        Judge(build, null, fetch.Egress, who, at);
        if (!state.Indicators.IsEmpty && fetch.What.Length > 0 && state.Indicators.FindImage(fetch.What) is { } image)
        {
            Tell(build, null, fetch.Egress, image, $"{who} took {SafeText.Display(Redactor.Redact(fetch.What), 200)}", at);
        }
    }

    /// <summary>A name that a step asked a resolver for, whether or not it then connected.</summary>
    public void Asked(BuildStep step, string name, Stamp at)
    {
        if (step.Build is { } build && state.Indicators.FindName(name) is { } match)
        {
            Tell(build, step, null, match, $"{StepText.Describe(step)} asked for the name {SafeText.Display(name, 200)}", at);
        }
    }

    /// <summary>What a build was made from, and what came out of it.</summary>
    public void JudgeImages(Build build, Stamp at)
    {
        if (state.Indicators.IsEmpty)
        {
            return;
        }

        foreach (string reference in build.BaseImages)
        {
            if (state.Indicators.FindImage(reference) is { } match)
            {
                Tell(build, null, null, match, $"the base image {SafeText.Display(reference, 200)}", at);
            }
        }

        if (build.ImageId.Length > 0 && state.Indicators.FindImage(build.ImageId) is { } made)
        {
            Tell(build, null, null, made, $"the image that came out, {build.ImageId}", at);
        }
    }

    /// <summary>A file that a step wrote.</summary>
    /// <param name="step">Who wrote it.</param>
    /// <param name="path">In the image.</param>
    /// <param name="sha256">64 hex digits; anything else matches nothing.</param>
    /// <param name="at">When its hash became known.</param>
    public void JudgeFile(BuildStep step, string path, string sha256, Stamp at)
    {
        if (step.Build is { } build && state.Indicators.FindHash(sha256) is { } match)
        {
            Tell(build, step, null, match, $"{StepText.Describe(step)} wrote {SafeText.Display(path, 200)}, SHA-256 {sha256}", at);
        }
    }

    private void Judge(Build build, BuildStep? step, Egress egress, string who, Stamp at)
    {
        if (!state.Indicators.IsEmpty && state.Indicators.FindAddress(egress.Destination.Address) is { } address)
        {
            egress.Indicator = Shown(address);
            Tell(build, step, egress, address, $"{who} reached {egress.Label}", at);
        }

        foreach (EgressName name in egress.Names)
        {
            string host = NameClasses.HostOf(name.Name);
            if (!state.Indicators.IsEmpty && state.Indicators.FindName(host) is { } listed)
            {
                egress.Indicator = Shown(listed);
                Tell(build, step, egress, listed, $"{who} reached {egress.Label}", at);
            }
            else if (egress.Novelty != Novelty.Known && NameClasses.Find(host) is { } kind)
            {
                egress.Indicator = egress.Indicator.Length > 0 ? egress.Indicator : kind;
                Tell(build, step, egress, Severity.High, $"{who} reached {egress.Label}: {SafeText.Display(host, 200)} is {kind}", at);
            }
        }
    }

    private static string Shown(IndicatorMatch match) => $"{match.Value} ({match.Source})";

    private void Tell(Build build, BuildStep? step, Egress? egress, IndicatorMatch match, string what, Stamp at)
        => Tell(build, step, egress, Severity.Critical, $"{what}: {match.Value} is listed in {SafeText.Display(match.Source, 200)}", at);

    private void Tell(Build build, BuildStep? step, Egress? egress, Severity severity, string sentence, Stamp at)
    {
        Finding finding = book.Of(build, DetectorDefinition.IndicatorMatch, at);
        if (finding.Evidence.Any(e => e.Summary == sentence || (egress is not null && ReferenceEquals(e.Egress, egress) && finding.Severity >= severity)))
        {
            return;
        }

        if (severity > finding.Severity)
        {
            finding.Severity = severity;
            finding.Step = step ?? finding.Step;
            finding.Message = char.ToUpperInvariant(sentence[0]) + sentence[1..] + ".";
        }

        finding.Add(new Evidence(at, sentence, egress?.Process, egress));
        book.Changed(finding, at);
        BuildRegistry.Touch(build, at);
    }
}
