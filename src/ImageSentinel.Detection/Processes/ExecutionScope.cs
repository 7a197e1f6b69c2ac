using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Processes;

/// <summary>What a process is part of. A child gets its parent's scope at fork, so the question needs no look-up later.</summary>
public abstract class ExecutionScope
{
    /// <summary>The container that a process with this scope sits in; empty when it is the host's or not known.</summary>
    public abstract string ContainerId { get; }
}

/// <summary>An engine's daemon and its helpers (git, untar, runc before it becomes a step).</summary>
public sealed class EngineScope(int engine) : ExecutionScope
{
    public int Engine { get; } = engine;

    public override string ContainerId => "";
}

/// <summary>A container that is not, or not yet known to be, a build step.</summary>
public sealed class ContainerScope(int engine, string containerId) : ExecutionScope
{
    public int Engine { get; } = engine;

    public override string ContainerId { get; } = containerId;

    internal Stamp Created { get; init; }

    /// <summary>The runtime that made the container; its children are the container's first process and hooks.</summary>
    internal ProcessNode? Runtime { get; set; }

    /// <summary>The process met last, for reading the namespace once it is known what the container is.</summary>
    internal int LastPid { get; set; }

    /// <summary>Destinations this container was the first on the host to reach: evidence, should an image be made of it.</summary>
    internal List<Egress> NewEgress { get; } = [];

    /// <summary>Attempts made before it was known what the container is.</summary>
    internal List<PendingEgress> Pending { get; } = [];

    /// <summary>Set when the container turned out to be a classic build step.</summary>
    public BuildStep? Step { get; internal set; }

    /// <summary>Set when its configuration said that it is an ordinary container.</summary>
    public bool Settled { get; internal set; }
}

/// <summary>An egress attempt kept until its container is known to be a step or not.</summary>
internal sealed record PendingEgress(
    Stamp At,
    ProcessSnapshot Process,
    Destination Destination,
    EgressPath Path,
    EgressOutcome Outcome,
    int Errno,
    bool AddressOnly);

/// <summary>A build step's processes.</summary>
public sealed class StepScope(BuildStep step) : ExecutionScope
{
    public BuildStep Step { get; } = step;

    /// <summary>The builder's container, when the builder sits in one: the step's own is no container to anybody else.</summary>
    public override string ContainerId => Step.BuilderContainer;
}

/// <summary>A builder that needs no daemon, and its helpers.</summary>
public sealed class BuilderScope(Build build, string containerId) : ExecutionScope
{
    public Build Build { get; } = build;

    public override string ContainerId { get; } = containerId;
}
