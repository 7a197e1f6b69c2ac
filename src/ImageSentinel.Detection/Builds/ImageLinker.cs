using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Builds;

/// <summary>Ties what lands in the engine's image store to the builds that made it.</summary>
internal sealed class ImageLinker(CoreState state, BuildRegistry builds, BuildKitTracker buildKit, ClassicTracker classic)
{
    private const long TagWindow = 10 * Stamp.Second;

    private readonly Dictionary<int, Dictionary<string, string>> _tags = [];
    private readonly Dictionary<int, Stamp> _loads = [];

    public void LoadSeen(int engine, Stamp at) => _loads[engine] = at;

    public void ImageFileWritten(int engine, string imageId) => state.Output.Ask(new ImageLookup(engine, imageId));

    public void ReferencesChanged(int engine) => state.Output.Ask(new TagsLookup(engine));

    public void Learn(ImageFact image, Stamp at)
    {
        if (state.Ready is null)
        {
            return;
        }

        if (classic.FindForImage(image) is { } classicBuild)
        {
            classic.ImageWritten(classicBuild, image);
            SetImage(classicBuild, image.ImageId, at);
            return;
        }

        if (!IsBuildKit(image))
        {
            return;
        }

        Build? build = buildKit.FindForImage(image, at) ?? OpenCached(image, at);
        if (build is not null)
        {
            AddCachedSteps(build, image, at);
            SetImage(build, image.ImageId, at);
        }
    }

    public void Learn(TagsFact fact, Stamp at)
    {
        bool first = !_tags.TryGetValue(fact.Engine, out Dictionary<string, string>? before);
        var now = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (ImageTag tag in fact.Tags)
        {
            if (!tag.Reference.Contains("@sha256:", StringComparison.Ordinal))
            {
                now[tag.Reference] = tag.ImageId;
            }
        }

        _tags[fact.Engine] = now;
        if (first || before is null)
        {
            return;
        }

        foreach ((string reference, string imageId) in now)
        {
            if (before.GetValueOrDefault(reference) != imageId)
            {
                Tagged(fact.Engine, reference, imageId, at);
            }
        }

        foreach (Build build in Near(fact.Engine, at))
        {
            SetTags(build, now, at);
        }
    }

    private void Tagged(int engine, string reference, string imageId, Stamp at)
    {
        if (Near(engine, at).Any(b => b.ImageId == imageId))
        {
            return;
        }

        // A classic build that came whole from the cache leaves nothing but a reference.
        List<Build> cached = [.. Near(engine, at).Where(static b => b.Builder == Builder.Classic && b.Steps.Count == 0 && b.ImageId.Length == 0)];
        Build? build = cached.Find(b => b.PrimarySession?.Command.Tags.Contains(reference) == true)
            ?? (cached.Count == 1 ? cached[0] : null);
        if (build is not null)
        {
            SetImage(build, imageId, at);
            if (build.Ended is not null)
            {
                build.Result = BuildResult.Succeeded;
            }
        }
    }

    private IEnumerable<Build> Near(int engine, Stamp at)
        => builds.Active.Concat(builds.Recent.Where(b => b.Ended is { } ended && at.Since(ended) < TagWindow))
            .Where(b => b.Engine == engine);

    private static void SetTags(Build build, Dictionary<string, string> references, Stamp at)
    {
        if (build.ImageId.Length == 0)
        {
            return;
        }

        List<string> tags = [.. references.Where(r => r.Value == build.ImageId).Select(static r => r.Key).Order(StringComparer.Ordinal)];
        if (!tags.SequenceEqual(build.Tags))
        {
            build.Tags = tags;
            if (build.Active)
            {
                BuildRegistry.Touch(build, at);
            }

            build.Dirty = true;
        }
    }

    private void SetImage(Build build, string imageId, Stamp at)
    {
        build.ImageId = imageId;
        build.ImageWritten = at;
        if (build.Active)
        {
            BuildRegistry.Touch(build, at);
        }

        build.Dirty = true;
        if (_tags.TryGetValue(build.Engine, out Dictionary<string, string>? references))
        {
            SetTags(build, references, at);
        }
    }

    // A build that came whole from the cache shows as one image with BuildKit's marks while a client builds. The same
    // marks on a loaded or pulled image mean nothing: its build took place elsewhere.
    private Build? OpenCached(ImageFact image, Stamp at)
    {
        bool loading = _loads.TryGetValue(image.Engine, out Stamp load) && at.Since(load) < 30 * Stamp.Second;
        ClientSession? client = state.Clients.Eligible(image.Engine, at).LastOrDefault(static s => s.Command.Intent == ClientIntent.Build);
        bool probed = buildKit.ProbedSince(image.Engine, at, TagWindow);
        if (loading || (client is null && !probed))
        {
            return null;
        }

        Build build = builds.Start(Builder.BuildKit, image.Engine, client is { } c && at.Since(c.Last) < TagWindow ? c.Last : at);
        build.Dockerfile = client?.Dockerfile;
        build.BaseImages = build.Dockerfile?.BaseImages ?? [];
        return build;
    }

    private void AddCachedSteps(Build build, ImageFact image, Stamp at)
    {
        foreach (ImageHistory line in image.History)
        {
            if (!line.CreatedBy.StartsWith("RUN ", StringComparison.Ordinal))
            {
                continue;
            }

            string created = Dockerfile.Normalize(line.CreatedBy.Replace("# buildkit", "", StringComparison.Ordinal));
            Instruction? instruction = build.Dockerfile?.Instructions.FirstOrDefault(
                i => i.Keyword == "RUN" && i.Command.Length > 0 && created.EndsWith(i.Command, StringComparison.Ordinal)
                    && !build.Steps.Any(s => s.Index == i.Index));
            if (instruction is null || build.Steps.Any(s => s.Command.Length > 0 && created.EndsWith(Dockerfile.Normalize(s.Command), StringComparison.Ordinal)))
            {
                continue;
            }

            build.Add(new BuildStep(state.MakeId("cached", build.Id, instruction.Text), build.Engine, at)
            {
                Cached = true,
                Ended = at,
                Index = instruction.Index,
                Total = build.Dockerfile!.Instructions.Count,
                Command = instruction.Command,
                Instruction = StepText.Cut(instruction.Text),
            });
        }
    }

    private static bool IsBuildKit(ImageFact image)
        => image.History.Any(static h => h.Comment.StartsWith("buildkit", StringComparison.Ordinal));
}
