using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Files;
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

    /// <summary>A file that a step wrote, once its hash is known.</summary>
    public void JudgeFile(BuildStep step, StepFile file, Stamp at)
    {
        if (step.Build is { } build && file.Sha256.Length > 0 && state.Indicators.FindHash(file.Sha256) is { } match)
        {
            file.Indicator = Shown(match);
            Tell(build, step, null, match, $"{StepText.Describe(step)} wrote {SafeText.Display(file.Path, 200)}, SHA-256 {file.Sha256}", at, file);
        }
    }

    /// <summary>A container is made from an image, whoever built that.</summary>
    public void JudgeContainer(ContainerFact container, Stamp at)
    {
        if (state.Indicators.IsEmpty || (state.Indicators.FindImage(container.ImageId) ?? state.Indicators.FindImage(container.Image)) is not { } match)
        {
            return;
        }

        Finding finding = book.OfHost(DetectorDefinition.IndicatorMatch, $"container {container.ContainerId}", at);
        if (finding.Message.Length == 0)
        {
            finding.Severity = Severity.Critical;
            finding.ContainerId = container.ContainerId;
            finding.ImageId = container.ImageId;
            finding.Message = $"Container {SafeText.Display(container.Name, 64)} was made from {SafeText.Display(container.Image, 200)} ({container.ImageId}): "
                + $"{match.Value} is listed in {SafeText.Display(match.Source, 200)}.";
            finding.Add(new Evidence(at, finding.Message));
            book.Changed(finding, at);
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

    private void Tell(Build build, BuildStep? step, Egress? egress, IndicatorMatch match, string what, Stamp at, StepFile? file = null)
        => Tell(build, step, egress, Severity.Critical, $"{what}: {match.Value} is listed in {SafeText.Display(match.Source, 200)}", at, file);

    private void Tell(Build build, BuildStep? step, Egress? egress, Severity severity, string sentence, Stamp at, StepFile? file = null)
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

        finding.Add(new Evidence(at, sentence, egress?.Process ?? file?.WrittenBy, egress, File: file));
        book.Changed(finding, at);
        BuildRegistry.Touch(build, at);
    }
}
