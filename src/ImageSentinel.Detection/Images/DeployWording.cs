using System.Globalization;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Text;

namespace ImageSentinel.Detection.Images;

/// <summary>The story of a deployed image in sentences, and how much it weighs.</summary>
internal static class DeployWording
{
    private const int ShownFiles = 4;

    /// <summary>The build's own weight, raised by what the container may do and by what it does.</summary>
    public static Severity SeverityOf(BuildStory story, Deployment deployment)
    {
        int level = (int)(story.Worst >= Severity.High ? Severity.High : Severity.Medium);
        bool asItsBuild = deployment.Egress.Any(e => story.Destinations.Contains(e.Destination.ToString()));
        level += deployment.Breaks ? 1 : 0;
        level += asItsBuild ? 1 : 0;
        level += level < (int)Severity.High && (deployment.Risks.Count > 0 || deployment.Programs.Count > 0) ? 1 : 0;
        return (Severity)Math.Min(level, (int)Severity.Critical);
    }

    public static string Message(BuildStory story, Deployment deployment, int more)
    {
        string risks = deployment.Risks.Count > 0 ? $" ({string.Join(", ", deployment.Risks)})" : "";
        string client = deployment.Client is null ? ""
            : deployment.SameClient ? " The same client asked for the build and the container."
            : "";
        string others = more > 0 ? string.Create(CultureInfo.InvariantCulture, $" {more} more builds in its line were not clean either.") : "";
        string now = deployment.Egress.FirstOrDefault(e => story.Destinations.Contains(e.Destination.ToString())) is { } egress
            ? $" The container now reaches {egress.Destination}, as its build did."
            : "";
        return $"Container {Container(deployment)} was made from {Image(deployment)}{risks}, which comes from a {Word(story.Verdict)} build: {Story(story)}{now}{client}{others}";
    }

    public static IEnumerable<Evidence> EvidenceOf(IReadOnlyList<BuildStory> stories, IReadOnlyList<Deployment> deployments)
    {
        foreach (BuildStory story in stories.Take(4))
        {
            yield return new Evidence(At(story.Time), $"build {story.BuildId} ({Word(story.Verdict)}): {Story(story)}");
            foreach (StoryFile file in story.Files.Take(ShownFiles))
            {
                string hash = file.Sha256.Length > 0 ? $", sha256:{file.Sha256}" : "";
                yield return new Evidence(At(story.Time), $"that build left {SafeText.Display(file.Path, 200)} in the image{hash}");
            }
        }

        foreach (Deployment deployment in deployments)
        {
            string risks = deployment.Risks.Count > 0 ? $": {string.Join(", ", deployment.Risks)}" : "";
            yield return new Evidence(
                deployment.At,
                $"container {Container(deployment)} was made from {Image(deployment)}{risks}",
                deployment.Client?.Process,
                Client: deployment.Client,
                Deployment: deployment);
            foreach (string program in deployment.Programs)
            {
                yield return new Evidence(deployment.At, $"container {Container(deployment)} runs {SafeText.Display(program, 200)}, which the build left there");
            }

            foreach (Egress egress in deployment.Egress)
            {
                yield return new Evidence(egress.First, $"container {Container(deployment)} reached {egress.Destination}", egress.Process, egress);
            }
        }
    }

    private static string Story(BuildStory story)
    {
        string when = story.Time.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        string who = story.Requester.Length > 0 ? $"asked for by {story.Requester}" : "asked for by nobody who was seen";
        string step = story.Step.Length > 0 ? $"\"{SafeText.Display(story.Step, 120)}\" " : "it ";
        string what = story.Destinations.Count > 0
            ? $"; {step}reached {string.Join(", ", story.Destinations.Take(3))}, never seen before"
            : story.Verdict == Verdict.Unknown ? "; something was lost while it ran, so nobody can say what it did" : "";
        return $"it ran at {when}, {who}{what}.";
    }

    private static string Word(Verdict verdict) => verdict switch
    {
        Verdict.Malicious => "malicious",
        Verdict.Suspicious => "suspicious",
        _ => "not wholly seen",
    };

    private static string Container(Deployment deployment)
        => $"{(deployment.Name.Length > 0 ? SafeText.Display(deployment.Name, 64) + " " : "")}({deployment.ContainerId[..Math.Min(12, deployment.ContainerId.Length)]})";

    private static string Image(Deployment deployment)
        => deployment.Image.Length > 0 && !deployment.Image.StartsWith("sha256:", StringComparison.Ordinal)
            ? SafeText.Display(deployment.Image, 160)
            : deployment.ImageId;

    // Stories carry wall time only: they may be from before this boot.
    private static Stamp At(DateTimeOffset time) => new(0, (time - DateTimeOffset.UnixEpoch).Ticks * 100);
}
