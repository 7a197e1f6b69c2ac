using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Detectors;

/// <summary>An image is built inside a container, by a builder of its own: the engine that runs the container sees no build.</summary>
/// <remarks>
/// An ordinary set-up of CI as well, so a requester on the list of trusted clients is nothing to report, and the severity
/// follows what the build did: HIGH once it reached a destination never seen before.
/// </remarks>
internal sealed class BuilderInContainerDetector(CoreState state, FindingBook book)
{
    public void Judge(Build build, Stamp at)
    {
        if (build.BuilderContainer.Length == 0 || Trust.IsTrusted(build, state))
        {
            return;
        }

        Egress? worst = build.Steps.SelectMany(static s => s.Egress).Concat(build.Fetches.Select(static f => f.Egress))
            .FirstOrDefault(static e => e.Novelty == Novelty.NeverSeen);
        Severity severity = worst is null ? Severity.Medium : Severity.High;
        string image = state.ContainerImage(build.BuilderContainer);
        string container = build.BuilderContainer[..Math.Min(12, build.BuilderContainer.Length)] + (image.Length > 0 ? $" ({Text.SafeText.Display(image, 100)})" : "");
        string how = build.Builder switch
        {
            Builder.ContainerDriver => "by a BuildKit of its own",
            Builder.Buildah => "by buildah or podman",
            _ => "by an executor that works in its own container",
        };
        string reached = worst is null ? "" : $" It reached {worst.Destination}, never seen before.";
        BuildClient? client = build.Clients.Count > 0 ? build.Clients[0] : null;
        string who = client?.Process is { } process ? $": {ClientPolicyDetector.Command(process)}" : "";
        string message = $"{ClientPolicyDetector.Name(build)} is built inside container {container}, {how}{who}.{reached}";
        Finding finding = book.Of(build, DetectorDefinition.BuilderInContainer, at);
        if (finding.Severity != severity || finding.Message != message)
        {
            finding.Severity = severity;
            finding.Message = message;
            finding.Replace(new Evidence(at, message, client?.Process, worst, client));
            book.Changed(finding, at);
        }
    }
}
