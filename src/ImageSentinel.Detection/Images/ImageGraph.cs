namespace ImageSentinel.Detection.Images;

/// <summary>Which images descend from builds that were not clean. Survives the build's record, and through its store a restart.</summary>
/// <remarks>
/// Images and layers are named by content, so a tag, a save and a load, or a deleted parent change nothing. Bounded: the
/// oldest stories go first. An image that the engine deleted is remembered for <see cref="KeptWhenGone"/>, since it may
/// come back from an archive.
/// </remarks>
public sealed class ImageGraph
{
    public const int MaximumStories = 2000;
    public const int MaximumLinks = 50_000;
    public static readonly TimeSpan KeptWhenGone = TimeSpan.FromDays(30);

    private readonly Dictionary<string, BuildStory> _stories = new(StringComparer.Ordinal);
    private readonly Dictionary<string, HashSet<string>> _images = new(StringComparer.Ordinal);
    private readonly Dictionary<string, HashSet<string>> _layers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, DateTimeOffset> _gone = new(StringComparer.Ordinal);
    private int _links;

    /// <summary>Told of everything that a store has to keep; null: nobody keeps it.</summary>
    public IImageStore? Store { get; set; }

    public IReadOnlyCollection<BuildStory> Stories => _stories.Values;

    public BuildStory? Story(string buildId) => _stories.GetValueOrDefault(buildId);

    /// <summary>The builds an image comes from, as far as they were not clean; gravest first.</summary>
    public IReadOnlyList<BuildStory> StoriesOf(string imageId) => Find(_images, imageId);

    /// <summary>The builds a layer comes from.</summary>
    public IReadOnlyList<BuildStory> StoriesOfLayer(string layer) => Find(_layers, layer);

    /// <summary>Takes a story in, or a newer state of it.</summary>
    /// <returns>True when it was not known before.</returns>
    internal bool Tell(BuildStory story)
    {
        bool fresh = !_stories.ContainsKey(story.BuildId);
        _stories[story.BuildId] = story;
        Store?.Keep(story);
        if (_stories.Count > MaximumStories)
        {
            Forget(_stories.Values.MinBy(static s => s.Time)!.BuildId);
        }

        return fresh;
    }

    internal void LinkImage(string imageId, string buildId)
    {
        if (Link(_images, imageId, buildId))
        {
            Store?.Keep(ImageLinkKind.Image, imageId, buildId);
        }
    }

    internal void LinkLayer(string layer, string buildId)
    {
        if (Link(_layers, layer, buildId))
        {
            Store?.Keep(ImageLinkKind.Layer, layer, buildId);
        }
    }

    internal void Gone(string imageId, DateTimeOffset at)
    {
        if (_images.ContainsKey(imageId) && _gone.TryAdd(imageId, at))
        {
            Store?.Gone(imageId, at);
        }
    }

    internal void Back(string imageId)
    {
        if (_gone.Remove(imageId))
        {
            Store?.Gone(imageId, null);
        }
    }

    /// <summary>Forgets stories none of whose images is left.</summary>
    internal void Expire(DateTimeOffset now)
    {
        foreach ((string imageId, DateTimeOffset gone) in _gone.ToList())
        {
            if (now - gone > KeptWhenGone)
            {
                _ = _gone.Remove(imageId);
                _links -= _images.Remove(imageId, out HashSet<string>? builds) ? builds.Count : 0;
                Store?.Forget(imageId);
            }
        }

        HashSet<string> alive = [.. _images.Values.SelectMany(static b => b)];
        foreach (BuildStory story in _stories.Values.Where(s => !alive.Contains(s.BuildId) && now - s.Time > KeptWhenGone).ToList())
        {
            Forget(story.BuildId);
        }
    }

    /// <summary>For the store: what an earlier run kept. Nothing of it is told back.</summary>
    public void Restore(BuildStory story)
    {
        ArgumentNullException.ThrowIfNull(story);
        _stories[story.BuildId] = story;
    }

    /// <inheritdoc cref="Restore(BuildStory)"/>
    public void Restore(ImageLinkKind kind, string key, string buildId, DateTimeOffset? gone)
    {
        if (_stories.ContainsKey(buildId))
        {
            _ = Link(kind == ImageLinkKind.Image ? _images : _layers, key, buildId);
            if (gone is { } since)
            {
                _gone[key] = since;
            }
        }
    }

    private List<BuildStory> Find(Dictionary<string, HashSet<string>> links, string key)
        => links.TryGetValue(key, out HashSet<string>? builds)
            ? [.. builds.Select(b => _stories.GetValueOrDefault(b)).OfType<BuildStory>().OrderByDescending(static s => s.Worst).ThenBy(static s => s.Time)]
            : [];

    private bool Link(Dictionary<string, HashSet<string>> links, string key, string buildId)
    {
        if (_links >= MaximumLinks && _stories.Values.MinBy(static s => s.Time) is { } oldest && oldest.BuildId != buildId)
        {
            Forget(oldest.BuildId);
        }

        if (!links.TryGetValue(key, out HashSet<string>? builds))
        {
            builds = [];
            links[key] = builds;
        }

        bool added = builds.Add(buildId);
        _links += added ? 1 : 0;
        return added;
    }

    private void Forget(string buildId)
    {
        _ = _stories.Remove(buildId);
        foreach (Dictionary<string, HashSet<string>> links in (ReadOnlySpan<Dictionary<string, HashSet<string>>>)[_images, _layers])
        {
            foreach ((string key, HashSet<string> builds) in links.ToList())
            {
                if (builds.Remove(buildId))
                {
                    _links--;
                    if (builds.Count == 0)
                    {
                        _ = links.Remove(key);
                    }
                }
            }
        }

        Store?.ForgetStory(buildId);
    }
}

/// <summary>What a link ties to a build.</summary>
public enum ImageLinkKind
{
    None = 0,

    /// <summary>An image by its id.</summary>
    Image = 1,

    /// <summary>A layer by the digest of its content, or by its directory on this host.</summary>
    Layer = 2,
}

/// <summary>Keeps the graph beyond the process. Called on the core's thread; must not block.</summary>
public interface IImageStore
{
    void Keep(BuildStory story);

    void Keep(ImageLinkKind kind, string key, string buildId);

    /// <param name="at">Null: it is there again.</param>
    void Gone(string imageId, DateTimeOffset? at);

    void Forget(string imageId);

    void ForgetStory(string buildId);
}
