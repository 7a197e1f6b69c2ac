using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.History;
using ImageSentinel.Detection.Images;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Builds;

/// <summary>One image build seen on this host, from its first trace to its end.</summary>
public sealed class Build(string id, Builder builder, int engine, Stamp started)
{
    private const int MaximumDeployments = 32;

    private readonly List<BuildStep> _steps = [];
    private readonly List<Deployment> _deployments = [];
    private readonly List<Finding> _findings = [];
    private readonly List<string> _notes = [];
    private readonly List<DaemonFetch> _fetches = [];

    public string Id { get; } = id;

    public Builder Builder { get; internal set; } = builder;

    public int Engine { get; } = engine;

    public Stamp Started { get; internal set; } = started;

    public Stamp? Ended { get; internal set; }

    public BuildResult Result { get; internal set; }

    public Verdict Verdict { get; internal set; }

    public IReadOnlyList<BuildStep> Steps => _steps;

    public IReadOnlyList<Finding> Findings => _findings;

    public IReadOnlyList<string> Notes => _notes;

    public IReadOnlyList<DaemonFetch> Fetches => _fetches;

    /// <summary>Best first. More than one, or a confidence below 1, means that others were possible.</summary>
    public IReadOnlyList<BuildClient> Clients { get; internal set; } = [];

    public IReadOnlyList<string> BaseImages { get; internal set; } = [];

    public string ImageId { get; internal set; } = "";

    public IReadOnlyList<string> Tags { get; internal set; } = [];

    public Dockerfile? Dockerfile { get; internal set; }

    /// <summary>Earlier builds, not clean, that this one's image comes from: by a cached step, a base, a commit.</summary>
    public IReadOnlyList<BuildStory> Origins { get; internal set; } = [];

    /// <summary>Containers made from this build's image while it was not clean; first ones first.</summary>
    public IReadOnlyList<Deployment> Deployments => _deployments;

    /// <summary>Records known to be lost while the build ran; -1 when some were and nobody knows how many.</summary>
    public long Lost { get; private set; }

    /// <summary>The container that the builder itself sits in; empty when it is the host's.</summary>
    public string BuilderContainer { get; init; } = "";

    /// <summary>The engine's own record of this build, once found; null where the engine keeps none.</summary>
    public BuildRecord? Record { get; internal set; }

    /// <summary>Who runs the builder, where no engine stands between the two; null where one does.</summary>
    internal BuildClient? Requester { get; set; }

    /// <summary>The most likely requester, while the build runs.</summary>
    internal ClientSession? PrimarySession { get; set; }

    /// <summary>Last moment anything was seen of this build.</summary>
    internal Stamp LastActivity { get; set; } = started;

    /// <summary>When an image of this build was last written to the store.</summary>
    internal Stamp? ImageWritten { get; set; }

    /// <summary>Classic: directory of the unpacked context under the data root; empty when there is none.</summary>
    internal string ContextDirectory { get; init; } = "";

    /// <summary>Classic: the context directory was deleted, which is the builder's last act.</summary>
    internal Stamp? ContextDeleted { get; set; }

    /// <summary>Candidate Dockerfiles seen in the context.</summary>
    internal List<Dockerfile> Candidates { get; } = [];

    /// <summary>True while a running step was killed or a kill was asked for.</summary>
    internal bool KillSeen { get; set; }

    internal Stamp LastEmitted { get; set; }

    internal bool Dirty { get; set; }

    /// <summary>Last moment anything was seen of this build.</summary>
    public Stamp LastSeen => LastActivity;

    public bool Active => Ended is null;

    public bool HasRunningStep => _steps.Exists(static s => s.Ended is null);

    /// <summary>True when at some time of the build nobody could have seen a step go out.</summary>
    internal bool Blind { get; set; }

    /// <summary>Every sensor's word on itself when the build ended; null while it runs.</summary>
    public IReadOnlyList<SensorFact>? SensorsAtEnd { get; internal set; }

    internal void Add(BuildStep step)
    {
        step.Build = this;
        _steps.Add(step);
    }

    internal void Add(DaemonFetch fetch) => _fetches.Add(fetch);

    internal void Add(Finding finding) => _findings.Add(finding);

    /// <summary>What was known of it when the image graph last looked.</summary>
    internal (Verdict, string, int, int, long, int) Followed { get; set; }

    internal void Add(Deployment deployment)
    {
        if (_deployments.Count < MaximumDeployments && !_deployments.Contains(deployment))
        {
            _deployments.Add(deployment);
        }
    }

    internal void Note(string note)
    {
        if (!_notes.Contains(note))
        {
            _notes.Add(note);
        }
    }

    internal void AddLoss(long count) => Lost = count < 0 || Lost < 0 ? -1 : Lost + count;
}
