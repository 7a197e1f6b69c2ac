using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Builds;

/// <summary>Images that land in an engine's store without a build: committed, imported, loaded. A pull is none of them.</summary>
/// <remarks>
/// A pulled image gets a reference by digest right after its configuration; so an arrival waits <see cref="Patience"/>
/// before it is told. What an image's text says of its origin proves nothing: it is as old as the image.
/// </remarks>
internal sealed class ImageArrivals(CoreState state, BuildRegistry builds, ClassicTracker classic, FindingBook book)
{
    private const long Patience = 1500 * Stamp.Millisecond;
    private const int MaximumKnown = 50_000;

    private readonly List<(ImageFact Image, bool Loading, Stamp At)> _waiting = [];
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);
    private readonly HashSet<string> _byDigest = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<string>> _references = new(StringComparer.Ordinal);

    /// <summary>An image whose origin is known: coming again, it is no news.</summary>
    public void Know(string imageId)
    {
        if (_known.Count >= MaximumKnown)
        {
            _known.Clear();
        }

        _ = _known.Add(imageId);
    }

    /// <summary>True when the engine has a reference by digest for it: it came from a registry, or was pushed to one.</summary>
    public bool IsPulled(string imageId) => _byDigest.Contains(imageId);

    public void Learn(TagsFact fact)
    {
        _references.Clear();
        foreach (ImageTag tag in fact.Tags)
        {
            if (tag.Reference.Contains("@sha256:", StringComparison.Ordinal))
            {
                _ = _byDigest.Add(tag.ImageId);
            }
            else if (_references.TryGetValue(tag.ImageId, out List<string>? references))
            {
                references.Add(tag.Reference);
            }
            else
            {
                _references[tag.ImageId] = [tag.Reference];
            }

            if (state.Ready is null)
            {
                Know(tag.ImageId);
            }
        }
    }

    public void Add(ImageFact image, bool loading, Stamp at)
    {
        // An image that is known and is loaded again is recorded, and is nothing to report.
        if (_waiting.Count < 256 && (loading || !_known.Contains(image.ImageId)) && !_waiting.Exists(w => w.Image.ImageId == image.ImageId))
        {
            _waiting.Add((image, loading, at));
        }
    }

    public void OnTick(Stamp at)
    {
        for (int i = _waiting.Count - 1; i >= 0; i--)
        {
            (ImageFact image, bool loading, Stamp arrived) = _waiting[i];
            if (at.Since(arrived) > Patience)
            {
                _waiting.RemoveAt(i);
                Tell(image, loading, arrived, at);
                Know(image.ImageId);
            }
        }
    }

    // A loaded image says of its origin what it said where it was saved; an import beside a load is told by who asked.
    private Builder OriginOf(ImageFact image, bool loading, Stamp arrived)
        => loading && !(IsImport(image) && Asks("import", image.Engine, arrived) && !Asks("load", image.Engine, arrived)) ? Builder.Load
        : image.Container.Length > 0 ? Builder.Commit
        : IsImport(image) ? Builder.Import
        : Builder.None;

    private static bool IsImport(ImageFact image)
        => image.History is [{ Comment: var comment }] && comment.StartsWith("Imported from", StringComparison.Ordinal);

    private bool Asks(string verb, int engine, Stamp at)
        => state.Clients.Sessions.Any(s => s.Engine == engine && s.Command.Verb == verb && s.AliveAt(at, 250 * Stamp.Millisecond));

    private void Tell(ImageFact image, bool loading, Stamp arrived, Stamp at)
    {
        Builder origin = OriginOf(image, loading, arrived);
        bool known = _known.Contains(image.ImageId);
        if (origin == Builder.None || (known && !loading) || (_byDigest.Contains(image.ImageId) && !loading))
        {
            return;
        }

        // A container driver hands its result over as an archive.
        Build? driven = builds.Active.Concat(builds.Recent).LastOrDefault(
            b => b.Builder == Builder.ContainerDriver && b.Engine == image.Engine && b.ImageId.Length == 0
                && (b.Ended is not { } ended || arrived.Since(ended) < 60 * Stamp.Second));
        if (loading && driven is not null)
        {
            driven.ImageId = image.ImageId;
            driven.Tags = TagsOf(image.ImageId);
            driven.ImageWritten = arrived;
            driven.Result = driven.Ended is null ? driven.Result : BuildResult.Succeeded;
            driven.Dirty = true;
            return;
        }

        Build build = builds.Start(origin, image.Engine, arrived);
        build.ImageId = image.ImageId;
        build.Tags = TagsOf(image.ImageId);
        build.ImageWritten = arrived;
        ContainerScope? container = origin == Builder.Commit ? classic.FindScope(image.Container) : null;
        builds.End(build, arrived, BuildResult.Succeeded);
        if (known)
        {
            build.Note("this image was known here before it was loaded");
            return;
        }

        Judge(build, origin, image, container, at);
    }

    private void Judge(Build build, Builder origin, ImageFact image, ContainerScope? container, Stamp at)
    {
        if (Clients.Trust.IsTrusted(build, state))
        {
            return;
        }

        List<Egress> reached = container?.NewEgress ?? [];
        Finding finding = book.Of(build, DetectorDefinition.ImageWithoutBuild, at);
        finding.Severity = reached.Exists(static e => e.Novelty == Novelty.NeverSeen) ? Severity.High : Severity.Medium;
        string how = origin switch
        {
            Builder.Commit => $"committed from container {image.Container[..Math.Min(12, image.Container.Length)]}",
            Builder.Import => "imported from an archive",
            _ => "loaded from an archive",
        };
        string name = build.Tags.Count > 0 ? Text.SafeText.Display(string.Join(", ", build.Tags), 160) : image.ImageId;
        string went = reached.Count > 0 ? $"; that container had reached {reached[0].Destination}, never seen before" : "";
        finding.Message = $"{name} was {how}{went}. No build step of it was seen on this host.";
        finding.Add(new Evidence(at, finding.Message, build.Clients.Count > 0 ? build.Clients[0].Process : null));
        foreach (Egress egress in reached)
        {
            finding.Add(new Evidence(egress.First, $"the container reached {egress.Destination}; {egress.Reason}", egress.Process, egress));
        }

        book.Changed(finding, at);
    }

    private List<string> TagsOf(string imageId) => _references.GetValueOrDefault(imageId, []);
}
