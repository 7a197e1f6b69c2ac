using ImageSentinel.Detection.Files;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Builds;

/// <summary>One executed instruction of a build (or a foreign frontend the engine ran for it).</summary>
public sealed class BuildStep(string id, int engine, Stamp started)
{
    /// <summary>Destinations kept per step; what comes beyond is counted in <see cref="EgressBeyond"/>.</summary>
    public const int MaximumEgress = 256;

    private readonly Dictionary<Destination, Egress> _egress = [];

    /// <summary>BuildKit: the executor's directory name. Classic: the container id.</summary>
    public string Id { get; } = id;

    public int Engine { get; } = engine;

    public Stamp Started { get; internal set; } = started;

    public Stamp? Ended { get; internal set; }

    public int? ExitCode { get; internal set; }

    /// <summary>True when the step was ended by SIGKILL.</summary>
    public bool Killed { get; internal set; }

    public StepKind Kind { get; internal set; } = StepKind.Run;

    public StepNetwork Network { get; internal set; }

    /// <summary>Number in the Dockerfile, from 1; 0 when unknown.</summary>
    public int Index { get; internal set; }

    public int Total { get; internal set; }

    /// <summary>As the Dockerfile says it; from the step's own arguments when the Dockerfile was not seen.</summary>
    public string Instruction { get; internal set; } = "";

    /// <summary>The command without keyword and shell, for matching.</summary>
    public string Command { get; internal set; } = "";

    /// <summary>Storage driver directory the step writes to; empty until known.</summary>
    public string Layer { get; internal set; } = "";

    public string ContainerId { get; internal set; } = "";

    public bool Cached { get; internal set; }

    /// <summary>The container that the builder itself sits in; empty when it is the host's.</summary>
    public string BuilderContainer { get; init; } = "";

    /// <summary>The build, once it is known which.</summary>
    public Build? Build { get; internal set; }

    /// <summary>BuildKit: the runc that carries the step; its exit status is the step's.</summary>
    internal ProcessNode? Launcher { get; set; }

    /// <summary>Which kind of build this step opens when it is the first trace of one.</summary>
    internal Builder PlannedBuilder { get; init; }

    /// <summary>Buildah: the runtime that made the step's container; the step is its child.</summary>
    internal ProcessNode? Runtime { get; init; }

    /// <summary>Classic, buildah: wait(2) status and end of the runtime's child that ended last.</summary>
    internal (int Status, Stamp At)? LastChild { get; set; }

    /// <summary>Addresses of the step's own network namespace, once proven.</summary>
    internal List<NetAddress> Addresses { get; } = [];

    /// <summary>Processes of the step whose namespace may be read, oldest first; bounded.</summary>
    internal List<int> NetworkPids { get; } = [];

    /// <summary>Names asked for, by the zone they are below.</summary>
    internal Dictionary<string, Names.ZoneAsked>? NamesAsked { get; set; }

    internal int NetworkAsks { get; set; }

    internal bool NetworkAsked { get; set; }

    public IEnumerable<Egress> Egress => _egress.Values;

    public int EgressBeyond { get; internal set; }

    /// <summary>What the step wrote into its layer.</summary>
    public StepFiles Files { get; } = new();

    /// <summary>Destinations of the step that were never seen before.</summary>
    internal int NewDestinations => _egress.Values.Count(static e => e.Novelty is Novelty.NeverSeen or Novelty.Learning);

    /// <summary>True once the step reached something that is not known, or not judged yet.</summary>
    internal bool WentSomewhereNew => _egress.Values.Any(static e => e.Novelty != Novelty.Known);

    internal Egress? FindEgress(Destination destination) => _egress.GetValueOrDefault(destination);

    internal bool TryAddEgress(Egress egress)
    {
        if (_egress.Count >= MaximumEgress)
        {
            EgressBeyond++;
            return false;
        }

        return _egress.TryAdd(egress.Destination, egress);
    }

    /// <summary>Keeps a destination in the place of one that is known, and counts that one as beyond.</summary>
    /// <returns>False when every kept one is new, which is story enough.</returns>
    internal bool TryReplaceKnown(Egress egress)
    {
        Egress? known = _egress.Values.FirstOrDefault(static e => e is { Novelty: Novelty.Known, AddressOnly: false });
        if (known is null)
        {
            return false;
        }

        _ = _egress.Remove(known.Destination);
        return _egress.TryAdd(egress.Destination, egress);
    }

    internal void RemoveEgress(Destination destination) => _egress.Remove(destination);
}
