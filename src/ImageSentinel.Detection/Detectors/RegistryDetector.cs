using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Text;

namespace ImageSentinel.Detection.Detectors;

/// <summary>Where a build's base images and frontend come from, held against the operator's list of registries.</summary>
internal sealed class RegistryDetector(CoreState state, FindingBook book)
{
    /// <summary>Registry of a reference; the public default when it names none.</summary>
    /// <remarks>Rule of the reference grammar: the first component is a registry when it holds a dot or colon or is "localhost".</remarks>
    public static string RegistryOf(string reference)
    {
        int slash = reference.IndexOf('/', StringComparison.Ordinal);
        string first = slash < 0 ? "" : reference[..slash];
        return first.Contains('.', StringComparison.Ordinal) || first.Contains(':', StringComparison.Ordinal) || first == "localhost"
            ? first
            : "docker.io";
    }

    public void Judge(Build build, Stamp at)
    {
        if (state.Policy.RegistryAllowList.Count == 0 || build.Dockerfile is not { } dockerfile)
        {
            return;
        }

        if (dockerfile.Syntax.Length > 0 && !IsAllowed(dockerfile.Syntax))
        {
            Tell(build, dockerfile.Syntax, "The frontend that interprets this build", Severity.High, at);
        }

        foreach (string reference in dockerfile.BaseImages)
        {
            // A reference with a variable in it cannot be judged from the text.
            if (!reference.Contains('$', StringComparison.Ordinal) && !IsAllowed(reference))
            {
                Tell(build, reference, "A base image", Severity.Medium, at);
            }
        }
    }

    private bool IsAllowed(string reference)
    {
        string registry = RegistryOf(reference);
        return state.Policy.RegistryAllowList.Any(allowed => allowed.Contains('/', StringComparison.Ordinal)
            ? reference == allowed || reference.StartsWith(allowed.TrimEnd('/') + "/", StringComparison.Ordinal)
            : registry.Equals(allowed, StringComparison.OrdinalIgnoreCase));
    }

    private void Tell(Build build, string reference, string what, Severity severity, Stamp at)
    {
        Finding finding = book.Of(build, DetectorDefinition.UnlistedRegistry, at);
        string shown = SafeText.Display(reference, 200);
        string sentence = $"{what}, {shown}, comes from {SafeText.Display(RegistryOf(reference), 100)}, which is not in registry_allow_list";
        if (finding.Evidence.Any(e => e.Summary == sentence))
        {
            return;
        }

        if (severity > finding.Severity)
        {
            finding.Severity = severity;
            finding.Message = sentence + ".";
        }

        finding.Add(new Evidence(at, sentence));
        book.Changed(finding, at);
    }
}
