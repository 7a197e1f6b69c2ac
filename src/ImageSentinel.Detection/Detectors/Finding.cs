using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Files;
using ImageSentinel.Detection.Images;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Detectors;

public enum FindingActivity
{
    None = 0,
    Create = 1,
    Update = 2,
    Close = 3,
}

/// <summary>One fact a finding rests on, as a plain sentence with its parts.</summary>
public sealed record Evidence(
    Stamp At,
    string Summary,
    ProcessSnapshot? Process = null,
    Egress? Egress = null,
    BuildClient? Client = null,
    StepFile? File = null,
    Deployment? Deployment = null);

/// <summary>Something worth telling. One per build and detector: what comes later updates it.</summary>
public sealed class Finding(string uid, DetectorDefinition detector, Build? build, Stamp first)
{
    public const int MaximumEvidence = 64;

    private readonly List<Evidence> _evidence = [];

    public string Uid { get; } = uid;

    public DetectorDefinition Detector { get; } = detector;

    public Build? Build { get; } = build;

    public BuildStep? Step { get; internal set; }

    /// <summary>The build's id, also when the build itself is no longer kept.</summary>
    public string BuildId => Build?.Id ?? StoryBuildId;

    /// <summary>The image it speaks of; empty when that is the build's.</summary>
    public string ImageId { get; internal set; } = "";

    /// <summary>The container it speaks of; empty when that is the step's.</summary>
    public string ContainerId { get; internal set; } = "";

    internal string StoryBuildId { get; set; } = "";

    public Stamp First { get; } = first;

    public Stamp Last { get; internal set; } = first;

    public FindingActivity Activity { get; internal set; } = FindingActivity.Create;

    public Severity Severity { get; internal set; }

    /// <summary>Severity of what happened, before who asked for it is weighed: that can still change.</summary>
    internal Severity Unweighed { get; set; }

    public double Confidence { get; internal set; } = 1;

    public string Title { get; internal set; } = detector.Title;

    public string Message { get; internal set; } = "";

    public IReadOnlyList<Evidence> Evidence => _evidence;

    public int EvidenceBeyond { get; private set; }

    /// <summary>The evidence is one fact that grows: the latest state of it stands for all.</summary>
    internal void Replace(Evidence evidence)
    {
        _evidence.Clear();
        _evidence.Add(evidence);
    }

    /// <summary>The evidence is a list that grows and changes: told anew each time, in its own order.</summary>
    internal void ReplaceAll(IEnumerable<Evidence> evidence)
    {
        _evidence.Clear();
        EvidenceBeyond = 0;
        foreach (Evidence one in evidence)
        {
            Add(one);
        }
    }

    internal void Add(Evidence evidence)
    {
        if (_evidence.Count < MaximumEvidence)
        {
            _evidence.Add(evidence);
        }
        else
        {
            EvidenceBeyond++;
        }
    }
}
