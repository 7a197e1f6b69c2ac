using System.Text;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Builds;

/// <summary>The classic builder: each RUN is an ordinary container whose image is named by id.</summary>
/// <remarks>
/// A build begins when the engine unpacks a context to <c>tmp/docker-builder…</c> and ends when it deletes it. Steps of one
/// build are strictly serial; each is made from the image that the step before it left.
/// </remarks>
internal sealed class ClassicTracker(CoreState state, BuildRegistry builds)
{
    private const long SettleAfterContext = 800 * Stamp.Millisecond;
    private const long IdleEnd = 30 * Stamp.Second;

    private readonly Dictionary<string, BuildStep> _steps = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Build> _byContainer = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ContainerScope> _scopes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ContainerFact> _facts = new(StringComparer.Ordinal);
    private readonly Dictionary<Build, string> _lastImage = [];

    // Longer than the build: its containers are written down once more when they are removed.
    private readonly HashSet<string> _parts = new(StringComparer.Ordinal);

    /// <summary>Raised when it is known whether a container is a step: what it did before can now be judged.</summary>
    internal Action<ContainerScope, Stamp>? Settled { get; set; }

    /// <summary>Raised when a step began: its layer is known from then on.</summary>
    internal Action<BuildStep>? LayerKnown { get; set; }

    /// <summary>Raised when a step's container was committed to an image layer of another name.</summary>
    internal Action<BuildStep, string>? Committed { get; set; }

    /// <summary>True for a container that is a step of a build, or one of its instructions without a process.</summary>
    public bool IsPartOfBuild(string containerId) => _parts.Contains(containerId);

    public ContainerScope ScopeOf(int engine, string containerId, Stamp at)
    {
        if (!_scopes.TryGetValue(containerId, out ContainerScope? scope))
        {
            scope = new ContainerScope(engine, containerId) { Created = at };
            _scopes[containerId] = scope;
            if (_facts.TryGetValue(containerId, out ContainerFact? fact))
            {
                Settle(scope, fact, at);
            }
            else
            {
                state.Output.Ask(new ContainerLookup(engine, containerId));
            }
        }

        return scope;
    }

    /// <summary>The scope of a container that is or was running; null when it never ran under our eyes.</summary>
    public ContainerScope? FindScope(string containerId) => _scopes.GetValueOrDefault(containerId);

    public void ContextCreated(int engine, string directory, Stamp at)
    {
        if (Find(engine, directory) is null)
        {
            _ = builds.Start(Builder.Classic, engine, at, directory);
        }
    }

    public void ContextDeleted(int engine, string directory, Stamp at)
    {
        if (Find(engine, directory) is { } build)
        {
            build.ContextDeleted = at;
            BuildRegistry.Touch(build, at);
        }
    }

    public void ContextFileWritten(int engine, string directory, ReadOnlySpan<byte> path)
    {
        if (Find(engine, directory) is { Candidates.Count: < 16 })
        {
            state.Output.Ask(new DockerfileLookup(engine, Encoding.UTF8.GetString(path)));
        }
    }

    public void Learn(Dockerfile dockerfile, int engine, string directory, Stamp at)
    {
        if (Find(engine, directory) is not { } build)
        {
            return;
        }

        _ = build.Candidates.RemoveAll(c => c.Origin == dockerfile.Origin);
        build.Candidates.Add(dockerfile);
        Choose(build, at);
    }

    public void Learn(ContainerFact fact, Stamp at)
    {
        bool known = _facts.ContainsKey(fact.ContainerId);
        _facts[fact.ContainerId] = fact;
        if (_steps.TryGetValue(fact.ContainerId, out BuildStep? step))
        {
            Finish(step, fact, at);
            return;
        }

        if (!known && IsStep(fact, out bool metadata))
        {
            Build build = ChooseBuild(fact, at);
            _byContainer[fact.ContainerId] = build;
            _parts.Add(fact.ContainerId);
            BuildRegistry.Touch(build, at);
            if (!metadata)
            {
                step = Begin(fact, build, at);
            }
        }

        if (_scopes.TryGetValue(fact.ContainerId, out ContainerScope? scope) && !scope.Settled)
        {
            Settle(scope, fact, at);
        }
    }

    /// <summary>A direct child of the runtime ended. The last of them is the container's first process: the runtime's own
    /// helpers and hooks end before the container starts.</summary>
    public static void ChildEnded(BuildStep step, ProcessNode node, Stamp at) => step.LastChild = (node.ExitStatus, at);

    /// <summary>The runtime is told to remove a container: whatever ran in it is over.</summary>
    public static void Deleted(ContainerScope scope, Stamp at)
    {
        if (scope.Step is { } step)
        {
            Close(step, at);
        }
    }

    /// <summary>The build that made an image: by the container the engine wrote into it, else by the parent image.</summary>
    public Build? FindForImage(ImageFact image)
    {
        if (image.Container.Length > 0 && _byContainer.TryGetValue(image.Container, out Build? build))
        {
            return build;
        }

        // An ordinary container, committed by somebody while the build was just ending.
        if (image.Container.Length > 0 && _facts.TryGetValue(image.Container, out ContainerFact? container) && !IsStep(container, out _))
        {
            return null;
        }

        return image.Parent.Length == 0 ? null : builds.Active.FirstOrDefault(
            b => b.Builder == Builder.Classic && b.Engine == image.Engine && _lastImage.GetValueOrDefault(b) == image.Parent);
    }

    public void ImageWritten(Build build, ImageFact image, Stamp at)
    {
        _lastImage[build] = image.ImageId;
        if (image.Container.Length > 0 && _steps.TryGetValue(image.Container, out BuildStep? step))
        {
            // The builder commits a container only when its command ended with 0.
            step.LastChild ??= (0, at);
            Close(step, at);
            // A command that wrote nothing leaves an empty line in the history and no layer: the last one is the base's then.
            bool wrote = image.History.Count == 0 || !image.History[^1].EmptyLayer;
            if (!wrote)
            {
                step.Layer = "";
            }
            else if (image.Layers.Count > 0 && image.Layers[^1].Length > 0)
            {
                step.Layer = image.Layers[^1];
                Committed?.Invoke(step, step.Layer);
            }
        }
    }

    public void OnTick(Stamp at)
    {
        foreach (ContainerScope scope in _scopes.Values)
        {
            // Its configuration never came: an ordinary container, as far as anyone can tell.
            if (!scope.Settled && at.Since(scope.Created) > 3 * Stamp.Second)
            {
                scope.Settled = true;
                Settled?.Invoke(scope, at);
            }
        }

        foreach (Build build in builds.Active.Where(static b => b.Builder == Builder.Classic).ToList())
        {
            bool contextGone = build.ContextDeleted is { } deleted && at.Since(deleted) > SettleAfterContext;
            bool quiet = !build.HasRunningStep && at.Since(build.LastActivity) > SettleAfterContext;
            bool abandoned = build.ContextDirectory.Length == 0
                && (build.PrimarySession?.Ended is { } gone ? at.Since(gone) > 1500 * Stamp.Millisecond : at.Since(build.LastActivity) > IdleEnd);
            if (quiet && (contextGone || abandoned))
            {
                // Each instruction leaves an image; only a build that came to its end has made the one that was asked for.
                bool complete = build.Steps.All(static s => s.ExitCode is null or 0);
                BuildResult result = BuildRegistry.ResultOf(build);
                if (result == BuildResult.Succeeded && !complete)
                {
                    result = build.Steps.Any(static s => s.Killed) && build.PrimarySession?.Ended is { } left
                        && left.Boot <= build.LastActivity.Boot
                        ? BuildResult.Cancelled
                        : BuildResult.Failed;
                    build.ImageId = "";
                }

                builds.End(build, build.ContextDeleted ?? build.LastActivity, result);
                Forget(build);
            }
        }
    }

    private static bool IsStep(ContainerFact fact, out bool metadata)
    {
        metadata = fact.Command.Count > 2 && fact.Command[2].StartsWith("#(nop)", StringComparison.Ordinal);
        bool byId = fact.Image.StartsWith("sha256:", StringComparison.Ordinal) && fact.Image.Length == 71;
        return byId && !fact.Attached && fact.LogPath.Length == 0;
    }

    private Build? Find(int engine, string directory)
        => builds.Active.FirstOrDefault(b => b.Builder == Builder.Classic && b.Engine == engine && b.ContextDirectory == directory);

    private void Settle(ContainerScope scope, ContainerFact fact, Stamp at)
    {
        if (_steps.TryGetValue(fact.ContainerId, out BuildStep? step))
        {
            scope.Step = step;
        }

        scope.Settled = true;
        Settled?.Invoke(scope, at);
    }

    private BuildStep Begin(ContainerFact fact, Build build, Stamp at)
    {
        var step = new BuildStep(fact.ContainerId, fact.Engine, at)
        {
            ContainerId = fact.ContainerId,
            Command = StepText.CommandOf(fact.Command),
            Instruction = StepText.InstructionOf(fact.Command),
            Layer = fact.Layer,
            Network = fact.NetworkMode switch
            {
                "host" => StepNetwork.Host,
                "none" => StepNetwork.Isolated,
                _ => StepNetwork.Bridge,
            },
        };
        build.Add(step);
        Number(step, build);
        _steps[fact.ContainerId] = step;
        LayerKnown?.Invoke(step);
        return step;
    }

    // The second witness of an end, for when the process events were lost.
    private static void Finish(BuildStep step, ContainerFact fact, Stamp at)
    {
        if (step.Ended is null && fact is { Running: false, Finished: true, ExitCode: { } code })
        {
            step.LastChild ??= (code << 8, at);
            Close(step, at);
        }
    }

    private static void Close(BuildStep step, Stamp at)
    {
        if (step.Ended is not null)
        {
            return;
        }

        step.Ended = step.LastChild?.At ?? at;
        if (step.LastChild is { } last)
        {
            int signal = last.Status & 0x7F;
            step.ExitCode = signal != 0 ? 128 + signal : (last.Status >> 8) & 0xFF;
            step.Killed = signal == 9 || step.ExitCode == 137;
        }

        BuildRegistry.Touch(step.Build!, at);
    }

    private Build ChooseBuild(ContainerFact fact, Stamp at)
    {
        // Deleting its context is the builder's last act: a step that shows afterwards is another build's, unless its own
        // Dockerfile says otherwise (the look-up of its configuration was slow).
        string command = StepText.CommandOf(fact.Command);
        List<Build> active = [.. builds.ActiveOn(fact.Engine, Builder.Classic)
            .Where(b => b.ContextDeleted is null || b.Candidates.Exists(c => c.FindRun(command) is not null))];
        Build? byParent = active.Find(b => _lastImage.GetValueOrDefault(b) == fact.Image && !b.HasRunningStep);
        if (byParent is not null && active.Count(b => _lastImage.GetValueOrDefault(b) == fact.Image) == 1)
        {
            return byParent;
        }

        List<Build> matching = [.. active.Where(b => !b.HasRunningStep && b.Candidates.Exists(c => c.FindRun(command) is not null))];
        if (matching.Count > 1)
        {
            matching = [.. matching.OrderBy(b => b.Steps.Count(s => s.Command == command))];
            matching[0].Note("a step could belong to another build that ran at the same time");
        }

        return matching.Count > 0 ? matching[0]
            : byParent ?? active.Find(static b => !b.HasRunningStep)
            ?? (active.Count > 0 ? active[^1] : builds.Start(Builder.Classic, fact.Engine, at));
    }

    private void Choose(Build build, Stamp at)
    {
        Dockerfile? best = build.Candidates
            .OrderByDescending(c => build.Steps.Count(s => c.FindRun(s.Command) is not null))
            .ThenByDescending(static c => c.Origin.EndsWith("/Dockerfile", StringComparison.Ordinal))
            .FirstOrDefault();
        if (best is not null && !ReferenceEquals(best, build.Dockerfile))
        {
            build.Dockerfile = best;
            build.BaseImages = best.BaseImages;
            foreach (BuildStep step in build.Steps)
            {
                Number(step, build);
            }

            builds.ChooseClients(build, at);
            BuildRegistry.Touch(build, at);
        }
    }

    private static void Number(BuildStep step, Build build)
    {
        Dockerfile? dockerfile = build.Dockerfile?.FindRun(step.Command) is not null
            ? build.Dockerfile
            : build.Candidates.Find(c => c.FindRun(step.Command) is not null) ?? build.Dockerfile;
        if (dockerfile is null)
        {
            return;
        }

        if (!ReferenceEquals(dockerfile, build.Dockerfile))
        {
            build.Dockerfile = dockerfile;
            build.BaseImages = dockerfile.BaseImages;
        }

        step.Total = dockerfile.Instructions.Count;
        int after = build.Steps.Where(s => !ReferenceEquals(s, step)).Select(static s => s.Index).DefaultIfEmpty(0).Max();
        Instruction? instruction = dockerfile.FindRun(step.Command, after) ?? dockerfile.FindRun(step.Command);
        if (instruction is not null)
        {
            step.Index = instruction.Index;
            step.Instruction = StepText.Cut(instruction.Text);
        }
    }

    private void Forget(Build build)
    {
        _ = _lastImage.Remove(build);
        foreach (string id in _byContainer.Where(p => ReferenceEquals(p.Value, build)).Select(static p => p.Key).ToList())
        {
            _ = _byContainer.Remove(id);
            _ = _steps.Remove(id);
            _ = _facts.Remove(id);
            _ = _scopes.Remove(id);
        }

        // Ordinary containers: only their settled scope matters, and the processes hold it.
        if (_facts.Count > 4096)
        {
            _facts.Clear();
        }

        if (_parts.Count > 16_384)
        {
            _parts.Clear();
        }

        if (_scopes.Count > 4096)
        {
            _scopes.Clear();
        }
    }
}
