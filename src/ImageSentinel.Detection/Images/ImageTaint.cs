using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Files;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Images;

/// <summary>Follows what a build that was not clean left behind: through layers, parents, commits and squashes into later images.</summary>
/// <remarks>
/// A build taints the image it wrote, whatever stage its bad step was in. A layer carries it on: the accused step's own,
/// and where that step's stage was dropped, the layers copied out of other stages. So a rebuild that ran nothing, an image
/// built on top and an image loaded from an archive meet the story again. Clean layers of the same build carry nothing:
/// the base that everybody shares stays clean.
/// </remarks>
internal sealed class ImageTaint(CoreState state, ImageGraph graph)
{
    private const int MaximumNodes = 20_000;
    private const int MaximumDepth = 128;
    private const int MaximumDestinations = 8;
    private const int MaximumFiles = 16;

    // The digest of a layer without content, which every image may have.
    private const string EmptyLayer = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

    private readonly Dictionary<string, ImageNode> _nodes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _contentOf = new(StringComparer.Ordinal);
    private Stamp _expired;

    public IReadOnlyList<BuildStory> StoriesOf(string imageId)
    {
        var found = new Dictionary<string, BuildStory>(StringComparer.Ordinal);
        Collect(imageId, found, []);
        return [.. found.Values.OrderByDescending(static s => s.Worst).ThenBy(static s => s.Time)];
    }

    public void Learn(ImageFact image)
    {
        if (_nodes.Count >= MaximumNodes)
        {
            _nodes.Clear();
            _contentOf.Clear();
        }

        var parents = new List<string>();
        if (image.Parent.Length > 0)
        {
            parents.Add(image.Parent);
        }

        if (image.Container.Length > 0 && state.ContainerImageId(image.Container) is { Length: > 0 } origin)
        {
            parents.Add(origin);
        }

        parents.AddRange(image.History.SelectMany(static h => SquashedFrom(h.Comment)));
        var layers = new List<ImageLayer>();
        List<ImageHistory> lines = [.. image.History.Where(static h => !h.EmptyLayer)];
        for (int i = 0; i < image.Layers.Count; i++)
        {
            string content = image.DiffIds is { } contents && i < contents.Count ? contents[i] : "";
            if (content == EmptyLayer)
            {
                // Whoever writes nothing on the same base gets the same directory: it carries nothing on.
                continue;
            }

            layers.Add(new ImageLayer(image.Layers[i], content, lines.Count == image.Layers.Count ? lines[i].CreatedBy : ""));
            if (content.Length > 0 && image.Layers[i].Length > 0)
            {
                _contentOf[image.Layers[i]] = content;
            }
        }

        _nodes[image.ImageId] = new ImageNode(parents, layers);
        graph.Back(image.ImageId);
        Inherit(image.ImageId);
    }

    public void Gone(string imageId, Stamp at) => graph.Gone(imageId, at.Time);

    /// <summary>A build changed: keeps its story when it is not clean, and its links.</summary>
    public void Follow(Build build)
    {
        var now = (build.Verdict, build.ImageId, build.Tags.Count, build.Findings.Count, build.LastActivity.Boot, build.Findings.Sum(static f => (int)f.Severity));
        if (build.Followed == now)
        {
            return;
        }

        build.Followed = now;
        if (build.ImageId.Length > 0)
        {
            build.Origins = [.. StoriesOf(build.ImageId).Where(s => s.BuildId != build.Id)];
        }

        if (build.Verdict is not (Verdict.Suspicious or Verdict.Malicious or Verdict.Unknown) || OnlyInherits(build))
        {
            return;
        }

        BuildStory story = StoryOf(build);
        BuildStory? before = graph.Story(build.Id);
        if (before is null || !Same(before, story))
        {
            _ = graph.Tell(story);
        }

        if (build.ImageId.Length > 0)
        {
            graph.LinkImage(build.ImageId, build.Id);
        }

        foreach (string layer in TaintedLayers(build))
        {
            graph.LinkLayer(layer, build.Id);
            if (_contentOf.TryGetValue(layer, out string? content))
            {
                graph.LinkLayer(content, build.Id);
            }
        }

        if (before is null)
        {
            // What descends from it was met before anybody knew.
            foreach (string imageId in _nodes.Keys.ToList())
            {
                Inherit(imageId);
            }
        }
    }

    public void OnTick(Stamp at)
    {
        if (at.Since(_expired) > 3600 * Stamp.Second)
        {
            _expired = at;
            graph.Expire(at.Time);
        }
    }

    private static bool OnlyInherits(Build build) => build.Origins.Count > 0 && build.Findings.Count == 0 && build.Lost == 0 && !build.Blind;

    private void Inherit(string imageId)
    {
        foreach (BuildStory story in StoriesOf(imageId))
        {
            graph.LinkImage(imageId, story.BuildId);
        }
    }

    private void Collect(string imageId, Dictionary<string, BuildStory> found, HashSet<string> visited)
    {
        if (visited.Count >= MaximumDepth || !visited.Add(imageId))
        {
            return;
        }

        Add(graph.StoriesOf(imageId));
        if (!_nodes.TryGetValue(imageId, out ImageNode? node))
        {
            return;
        }

        foreach (ImageLayer layer in node.Layers)
        {
            Add(graph.StoriesOfLayer(layer.Directory));
            Add(graph.StoriesOfLayer(layer.Content));
        }

        foreach (string parent in node.Parents)
        {
            Collect(parent, found, visited);
        }

        void Add(IReadOnlyList<BuildStory> stories)
        {
            foreach (BuildStory story in stories)
            {
                found[story.BuildId] = story;
            }
        }
    }

    private IEnumerable<string> TaintedLayers(Build build)
    {
        List<BuildStep> accused = [.. build.Steps.Where(s => s is { Cached: false, Layer.Length: > 0 } && (build.Verdict == Verdict.Unknown || IsAccused(build, s)))];
        foreach (BuildStep step in accused)
        {
            yield return step.Layer;
        }

        if (!_nodes.TryGetValue(build.ImageId, out ImageNode? node) || build.Dockerfile is not { } dockerfile
            || accused.All(s => node.Layers.Any(l => l.Directory == s.Layer)))
        {
            yield break;
        }

        // The stage is dropped; what was copied out of it is not.
        foreach (Instruction instruction in dockerfile.Instructions.Where(static i => i.Keyword == "COPY" && i.Text.Contains("--from", StringComparison.Ordinal)))
        {
            string[] words = Words(instruction.Text);
            foreach (ImageLayer layer in node.Layers.Where(l => l.Directory.Length > 0 && Words(l.CreatedBy).SequenceEqual(words)))
            {
                yield return layer.Directory;
            }
        }
    }

    private static string[] Words(string instruction)
        => [.. instruction.Replace("# buildkit", "", StringComparison.Ordinal).Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)
            .Where(static w => !w.StartsWith("--", StringComparison.Ordinal))];

    private static bool IsAccused(Build build, BuildStep step)
        => step.Egress.Any(static e => e.Novelty == Novelty.NeverSeen)
        || build.Findings.Any(f => ReferenceEquals(f.Step, step) && f.Severity >= Severity.Low)
        || step.Files.Told.Any(static f => f.Told >= Severity.Low || f.Indicator.Length > 0);

    private BuildStory StoryOf(Build build)
    {
        Finding? gravest = build.Findings.Where(static f => !ReferenceEquals(f.Detector, DetectorDefinition.TaintedImageDeployed)).MaxBy(static f => f.Severity);
        Clients.BuildClient? client = build.Clients.Count > 0 ? build.Clients[0] : null;
        return new BuildStory(
            build.Id,
            build.Verdict,
            gravest?.Severity ?? Severity.None,
            build.Started.Time,
            build.ImageId,
            build.Tags,
            Wording.Client(client, state),
            client?.Process?.Uid,
            client?.Address?.ToString() ?? "",
            gravest?.Step?.Instruction ?? build.Steps.FirstOrDefault(s => IsAccused(build, s))?.Instruction ?? "",
            [.. build.Steps.SelectMany(static s => s.Egress).Concat(build.Fetches.Select(static f => f.Egress))
                .Where(static e => e.Novelty == Novelty.NeverSeen).Select(static e => e.Destination.ToString()).Distinct().Take(MaximumDestinations)],
            [.. build.Steps.SelectMany(static s => s.Files.Told).Where(static f => f.Runnable || f.Persistence != PersistenceKind.None)
                .OrderByDescending(static f => f.Told).ThenByDescending(static f => f.From is not null)
                .Select(static f => new StoryFile(f.Path, f.Sha256)).Take(MaximumFiles)],
            [.. build.Findings.Select(static f => f.Uid)]);
    }

    private static bool Same(BuildStory a, BuildStory b)
        => a.Verdict == b.Verdict && a.Worst == b.Worst && a.ImageId == b.ImageId && a.Requester == b.Requester && a.Step == b.Step
        && a.Tags.SequenceEqual(b.Tags) && a.Destinations.SequenceEqual(b.Destinations)
        && a.Files.SequenceEqual(b.Files) && a.Findings.SequenceEqual(b.Findings);

    // The classic builder's --squash writes "merge sha256:NEW to sha256:BASE" into the history.
    private static IEnumerable<string> SquashedFrom(string comment)
        => comment.StartsWith("merge sha256:", StringComparison.Ordinal)
            ? comment.Split(' ').Where(static w => w.StartsWith("sha256:", StringComparison.Ordinal))
            : [];

    private sealed record ImageNode(List<string> Parents, List<ImageLayer> Layers);

    /// <param name="Directory">Of the storage driver on this host; empty when it could not be read.</param>
    /// <param name="Content">Digest of the uncompressed content; empty when unknown, or when there is none.</param>
    private sealed record ImageLayer(string Directory, string Content, string CreatedBy);
}
