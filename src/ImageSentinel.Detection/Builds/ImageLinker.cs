using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Builds;

/// <summary>Ties what lands in the engine's image store to the builds that made it.</summary>
internal sealed class ImageLinker(CoreState state, BuildRegistry builds, BuildKitTracker buildKit, ClassicTracker classic, ImageArrivals arrivals)
{
    private const long TagWindow = 10 * Stamp.Second;

    // An image is looked up a moment after it was written; the load's folder may be gone by then.
    private const long AfterLoad = 2 * Stamp.Second;
    private const long LongestLoad = 15 * 60 * Stamp.Second;

    private readonly Dictionary<int, Dictionary<string, string>> _tags = [];
    // Archives being loaded, by engine and folder; and when the last one was done.
    private readonly Dictionary<(int Engine, string Folder), Stamp> _loading = [];
    private readonly Dictionary<int, Stamp> _loaded = [];

    // References that showed before the image they name was tied to a build.
    private readonly Dictionary<string, string> _unclaimed = new(StringComparer.Ordinal);

    /// <summary>The engine unpacks an archive (<c>docker load</c>) to a folder of its own, and removes that when it is done.</summary>
    public void LoadSeen(int engine, string folder, bool removed, Stamp at)
    {
        _loaded[engine] = at;
        if (removed)
        {
            _ = _loading.Remove((engine, folder));
        }
        else if (_loading.Count < 256)
        {
            _ = _loading.TryAdd((engine, folder), at);
        }
    }

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
            classic.ImageWritten(classicBuild, image, at);
            SetImage(classicBuild, image.ImageId, at);
            return;
        }

        // A committed image keeps the history of its base, and names the container it was made from.
        Build? build = IsBuildKit(image) && image.Container.Length == 0 ? buildKit.FindForImage(image, at) ?? OpenCached(image, at) : null;
        Stamp? load = LoadAt(image.Engine, at);
        bool loading = load is not null;
        if (build?.ImageWritten is { } written && load is { } began && began.Boot > written.Boot)
        {
            // That build has its image already: what is written now, its own image again or another, is the load's doing.
            build = null;
        }

        if (build is null)
        {
            arrivals.Add(image, loading, at);
        }
        else
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
        arrivals.Learn(fact);
        if (_unclaimed.Count > 64)
        {
            _unclaimed.Clear();
        }

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

        // The file was written and nothing in it changed: a cached build gave its image the name it already had.
        foreach (Build build in Near(fact.Engine, at).Where(static b => b is { Builder: Builder.Classic, Steps.Count: 0, ImageId.Length: 0 }).ToList())
        {
            string? asked = build.PrimarySession?.Command.Tags.FirstOrDefault(now.ContainsKey);
            if (asked is not null)
            {
                SetImage(build, now[asked], at);
                build.Result = build.Ended is not null ? BuildResult.Succeeded : build.Result;
            }
        }
    }

    /// <summary>A build ended: an image that got no new name keeps those it has.</summary>
    public void NameAtEnd(Build build)
    {
        if (build is { ImageId.Length: > 0, Tags.Count: 0 } && _tags.TryGetValue(build.Engine, out Dictionary<string, string>? references))
        {
            List<string> names = [.. references.Where(r => r.Value == build.ImageId).Select(static r => r.Key)];
            List<string> asked = [.. names.Where(n => AskedFor(build, n))];
            build.Tags = [.. (asked.Count > 0 ? asked : names).Order(StringComparer.Ordinal)];
        }
    }

    // One image may come out of several builds (a cached one repeats it): a new reference belongs to the build that asked
    // for it, else to the newest with that image.
    private void Tagged(int engine, string reference, string imageId, Stamp at)
    {
        List<Build> makers = [.. Near(engine, at).Where(b => b.ImageId == imageId)];
        Build? build = makers.Find(b => AskedFor(b, reference)) ?? OpenRepeated(makers, reference, at);
        if (build is null && makers.Count > 0)
        {
            Build newest = makers.MaxBy(static b => b.Started.Boot)!;
            bool another = builds.Active.Any(b => b.Engine == engine && b.ImageId.Length == 0 && AskedFor(b, reference));
            build = another ? null : newest;
        }

        // A classic build that came whole from the cache leaves nothing but a reference. So does the pull of its base image,
        // which has one by digest as well.
        if (build is null)
        {
            List<Build> cached = [.. Near(engine, at).Where(static b => b.Builder == Builder.Classic && b.Steps.Count == 0 && b.ImageId.Length == 0)];
            build = cached.Find(b => AskedFor(b, reference)) ?? (cached.Count == 1 && !arrivals.IsPulled(imageId) ? cached[0] : null);
            if (build is not null)
            {
                SetImage(build, imageId, at);
                build.Result = build.Ended is not null ? BuildResult.Succeeded : build.Result;
            }
        }

        if (build is null)
        {
            _unclaimed[imageId] = reference;
        }
        else if (!build.Tags.Contains(reference))
        {
            AddTag(build, reference, at);
        }
    }

    // The engine does not always write an image again that it has: then a name is the one trace of a build that came whole
    // from the cache. It is the name that a client without a build had asked for.
    private Build? OpenRepeated(List<Build> makers, string reference, Stamp at)
    {
        Build? maker = makers.FindLast(static b => b.Builder == Builder.BuildKit);
        ClientSession? asker = maker is null ? null : state.Clients.Eligible(maker.Engine, at).LastOrDefault(
            s => s.Command.Intent == ClientIntent.Build && s.Command.Tags.Contains(reference)
                && !builds.Active.Concat(builds.Recent).Any(b => ReferenceEquals(b.PrimarySession, s)));
        if (maker is null || asker is null)
        {
            return null;
        }

        Build build = builds.Start(Builder.BuildKit, maker.Engine, asker.Last);
        build.Dockerfile = maker.Dockerfile;
        build.BaseImages = maker.BaseImages;
        foreach (BuildStep step in maker.Steps)
        {
            build.Add(new BuildStep(state.MakeId("cached", build.Id, step.Id), build.Engine, at)
            {
                Cached = true,
                Ended = at,
                Index = step.Index,
                Total = step.Total,
                Command = step.Command,
                Instruction = step.Instruction,
                Layer = step.Layer,
            });
        }

        SetImage(build, maker.ImageId, at);
        return build;
    }

    private static bool AskedFor(Build build, string reference) => build.PrimarySession?.Command.Tags.Contains(reference) == true;

    private static void AddTag(Build build, string reference, Stamp at)
    {
        build.Tags = [.. build.Tags.Append(reference).Order(StringComparer.Ordinal)];
        build.Dirty = true;
        if (build.Active)
        {
            BuildRegistry.Touch(build, at);
        }
    }

    private IEnumerable<Build> Near(int engine, Stamp at)
        => builds.Active.Concat(builds.Recent.Where(b => b.Ended is { } ended && at.Since(ended) < TagWindow))
            .Where(b => b.Engine == engine);

    private void SetImage(Build build, string imageId, Stamp at)
    {
        arrivals.Know(imageId);
        build.ImageId = imageId;
        build.ImageWritten = at;
        if (build.Active)
        {
            BuildRegistry.Touch(build, at);
        }

        build.Dirty = true;
        if (_unclaimed.Remove(imageId, out string? reference))
        {
            AddTag(build, reference, at);
        }
    }

    // A build that came whole from the cache shows as one image with BuildKit's marks while a client builds. The same
    // marks on a loaded or pulled image mean nothing: its build took place elsewhere.
    private Build? OpenCached(ImageFact image, Stamp at)
    {
        bool loading = LoadAt(image.Engine, at) is not null;
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

    // When the load began that may be writing an image now.
    private Stamp? LoadAt(int engine, Stamp at)
    {
        foreach (((int Engine, string Folder) key, Stamp began) in _loading)
        {
            if (key.Engine == engine && at.Since(began) < LongestLoad)
            {
                return began;
            }
        }

        return _loaded.TryGetValue(engine, out Stamp done) && at.Since(done) < AfterLoad ? done : null;
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
