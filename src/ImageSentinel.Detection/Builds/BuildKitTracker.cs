using System.Text;
using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Builds;

/// <summary>BuildKit inside an engine: a step is a <c>runc run</c> of an executor bundle; nothing else is told by the engine.</summary>
/// <remarks>
/// Which build a step belongs to is written nowhere (20.10). In order of strength: the one running build whose Dockerfile
/// holds the step's text; a Dockerfile seen before that holds it; the only running build. Steps wait up to
/// <see cref="PlacingPatience"/> for their bundle's text before they are placed without it.
/// </remarks>
internal sealed class BuildKitTracker(CoreState state, BuildRegistry builds)
{
    private const long PlacingPatience = 1500 * Stamp.Millisecond;
    private const long SettleAfterImage = 700 * Stamp.Millisecond;
    private const long SettleAfterClient = 1000 * Stamp.Millisecond;
    private const long IdleEnd = 30 * Stamp.Second;
    private const int MaximumDockerfiles = 512;

    // One write of an image is reported in several events; a rewrite by another build comes later than that.
    private const long RewriteGap = 400 * Stamp.Millisecond;

    private readonly Dictionary<string, BuildStep> _steps = new(StringComparer.Ordinal);
    private readonly Dictionary<string, BundleFact> _bundles = new(StringComparer.Ordinal);
    private readonly List<(Dockerfile File, int Engine)> _dockerfiles = [];
    private readonly Dictionary<int, Stamp> _probes = [];

    /// <summary>Raised when a step found its build: what it did before can now be judged.</summary>
    internal Action<BuildStep, Stamp>? Placed { get; set; }

    /// <summary>Raised when the layer that a step writes to became known.</summary>
    internal Action<BuildStep>? LayerKnown { get; set; }

    /// <summary>A runtime was started on an executor bundle.</summary>
    /// <param name="container">The container that the builder sits in; empty for an engine of this host.</param>
    public void RuntimeStarted(ProcessNode node, int engine, string stepId, string bundle, Builder builder, string container, Stamp at)
    {
        if (_steps.ContainsKey(stepId))
        {
            return;
        }

        var step = new BuildStep(stepId, engine, at) { Launcher = node, PlannedBuilder = builder, BuilderContainer = container };
        _steps[stepId] = step;
        state.Tree.Relabel(node, new StepScope(step), rootItself: false);
        if (_bundles.Remove(stepId, out BundleFact? known))
        {
            Describe(step, known, at);
        }

        // Also when the text is known: the layer's mount may not have been there when the file was written.
        if (step.Layer.Length == 0)
        {
            // In a container the path means something else than here: read it in the builder's own file system.
            bool elsewhere = node.Scope is not EngineScope;
            state.Output.Ask(new BundleLookup(engine, stepId, bundle, elsewhere ? (node.Parent ?? node).Key.Pid : 0));
        }
    }

    public void RuntimeEnded(ProcessNode node, Stamp at)
    {
        if (node.ScopeForChildren is not StepScope { Step: { } step } || !ReferenceEquals(step.Launcher, node) || step.Ended is not null)
        {
            return;
        }

        // runc ends with the step's code; 128 + n for a signal n, or is itself killed.
        int signal = node.ExitStatus & 0x7F;
        int code = signal != 0 ? 128 + signal : (node.ExitStatus >> 8) & 0xFF;
        step.Ended = at;
        step.ExitCode = code;
        step.Killed = signal == 9 || code == 137;
        _ = _steps.Remove(step.Id);
        if (step.Build is null)
        {
            Place(step, at);
        }

        BuildRegistry.Touch(step.Build!, at);
    }

    public void RuntimeKilled(string stepId, Stamp at)
    {
        if (_steps.TryGetValue(stepId, out BuildStep? step) && step.Build is { } build)
        {
            build.KillSeen = true;
            BuildRegistry.Touch(build, at);
        }
    }

    public void Learn(BundleFact fact, Stamp at)
    {
        if (_steps.TryGetValue(fact.StepId, out BuildStep? step))
        {
            Describe(step, fact, at);
        }
        else if (_bundles.Count < 256)
        {
            // The file is complete 0.3 to 4 ms before the runtime starts.
            _bundles[fact.StepId] = fact;
        }
        else
        {
            _bundles.Clear();
        }
    }

    /// <summary>The daemon wrote a file at the top of a fresh snapshot: read it, it may be the Dockerfile.</summary>
    public void SnapshotFileWritten(int engine, ReadOnlySpan<byte> path)
        => state.Output.Ask(new DockerfileLookup(engine, Encoding.UTF8.GetString(path)));

    /// <summary>The engine's own git fetches a context into a snapshot: a build began, whether or not a step follows.</summary>
    public void ContextFetched(int engine, Stamp at)
    {
        List<Build> active = [.. builds.ActiveOn(engine, Builder.BuildKit)];
        if (active.Count == 0 || active.Count < state.Clients.Eligible(engine, at).Count())
        {
            _ = builds.Start(Builder.BuildKit, engine, at);
        }
    }

    public void PlatformProbed(int engine, Stamp at) => _probes[engine] = at;

    public bool ProbedSince(int engine, Stamp at, long window)
        => _probes.TryGetValue(engine, out Stamp probe) && at.Since(probe) < window;

    public void Learn(Dockerfile dockerfile, int engine, Stamp at)
    {
        if (_dockerfiles.Exists(d => d.Engine == engine && d.File.Origin == dockerfile.Origin && d.File.SameAs(dockerfile)))
        {
            return;
        }

        _ = _dockerfiles.RemoveAll(d => d.Engine == engine && d.File.Origin == dockerfile.Origin);
        if (_dockerfiles.Count >= MaximumDockerfiles)
        {
            _dockerfiles.RemoveAt(0);
        }

        _dockerfiles.Add((dockerfile, engine));
        if (state.Ready is null)
        {
            return;
        }

        List<Build> active = [.. builds.ActiveOn(engine, Builder.BuildKit)];
        if (active.Exists(b => b.Dockerfile?.SameAs(dockerfile) == true))
        {
            return;
        }

        Build? without = active.Find(static b => b.Dockerfile is null);
        if (without is not null && without.Steps.All(s => dockerfile.FindRun(s.Command) is not null))
        {
            Assign(without, dockerfile, at);
            return;
        }

        // The engine unpacks a build's Dockerfile first. A context may bring other files that look like one, so a further
        // build is only opened while there are more clients than builds.
        int clients = state.Clients.Eligible(engine, at).Count();
        if (active.Count == 0 || active.Count < clients)
        {
            Build build = builds.Start(Builder.BuildKit, engine, at);
            Assign(build, dockerfile, at);
        }
    }

    public void OnTick(Stamp at)
    {
        foreach (BuildStep step in _steps.Values.Where(s => s.Build is null && at.Since(s.Started) > PlacingPatience).ToList())
        {
            Place(step, at);
        }

        foreach (Build build in builds.Active.Where(static b => b.Builder is Builder.BuildKit or Builder.ContainerDriver).ToList())
        {
            if (IsOver(build, at))
            {
                builds.End(build, EndOf(build, at), BuildRegistry.ResultOf(build));
            }
        }
    }

    /// <summary>The build that most likely wrote an image: by layer, else by text.</summary>
    public Build? FindForImage(ImageFact image, Stamp at)
    {
        List<Build> candidates = [.. builds.Active.Concat(builds.Recent.Where(b => b.Ended is { } e && at.Since(e) < 2 * Stamp.Second))
            .Where(b => b.Engine == image.Engine && b.Builder == Builder.BuildKit)];

        // A build that came whole from the cache writes the image of an earlier one again: somebody who waits for a build
        // and has none yet is its requester, not the earlier build's.
        bool unserved = state.Clients.Eligible(image.Engine, at).Any(s => s.Command.Intent == ClientIntent.Build
            && !builds.Active.Concat(builds.Recent).Any(b => ReferenceEquals(b.PrimarySession, s)));
        _ = candidates.RemoveAll(b => unserved && b.ImageWritten is { } written && at.Since(written) > RewriteGap);

        // Two builds with the same instruction share one execution and so one layer: who has no image yet comes first.
        List<string> commands = [.. image.History.Select(static h => h.CreatedBy)];
        return candidates
            .Select(b => (Build: b, Score: Overlap(b, commands) + (b.Steps.Any(s => s.Layer.Length > 0 && image.Layers.Contains(s.Layer)) ? 4 : 0)))
            .Where(static c => c.Score > 0)
            .OrderBy(c => c.Build.ImageId.Length > 0 && c.Build.ImageId != image.ImageId)
            .ThenByDescending(static c => c.Score)
            .ThenBy(static c => c.Build.Started.Boot)
            .Select(static c => c.Build)
            .FirstOrDefault()
            ?? (candidates.Count == 1 ? candidates[0] : null);
    }

    private static int Overlap(Build build, List<string> commands)
    {
        int score = build.Steps.Count(s => s.Command.Length > 0 && commands.Exists(c => c.Contains(s.Command, StringComparison.Ordinal))) * 2;
        if (build.Dockerfile is { } dockerfile)
        {
            foreach (Instruction instruction in dockerfile.Instructions)
            {
                if (instruction.Keyword == "FROM")
                {
                    continue;
                }

                string text = instruction.Keyword == "RUN" ? instruction.Command : instruction.Text;
                score += commands.Exists(c => Dockerfile.Normalize(c).Contains(text, StringComparison.Ordinal)) ? 1 : -2;
            }
        }

        return score;
    }

    private static Stamp EndOf(Build build, Stamp at)
    {
        Stamp last = build.ImageWritten is { } written && written.Boot > build.LastActivity.Boot ? written : build.LastActivity;
        foreach (BuildStep step in build.Steps)
        {
            last = step.Ended is { } ended && ended.Boot > last.Boot ? ended : last;
        }

        return last.Boot > 0 ? last : at;
    }

    private static bool IsOver(Build build, Stamp at)
    {
        if (build.HasRunningStep)
        {
            return false;
        }

        if (build.ImageWritten is { } written)
        {
            return at.Since(written) > SettleAfterImage && at.Since(build.LastActivity) > SettleAfterImage;
        }

        if (build.PrimarySession?.Ended is { } gone)
        {
            return at.Since(gone) > SettleAfterClient && at.Since(build.LastActivity) > SettleAfterClient;
        }

        // A builder in a container goes with its container.
        if (build.Requester is not null && build.Steps.Any(static s => s.Launcher?.Parent is { Ended: not null }))
        {
            return at.Since(build.LastActivity) > SettleAfterClient;
        }

        // A client that still runs its build command is waiting for the engine, however long that takes.
        bool waiting = build.PrimarySession is { Process: not null, Command.Intent: ClientIntent.Build };
        return at.Since(build.LastActivity) > (waiting ? 240 * IdleEnd : IdleEnd);
    }

    private void Describe(BuildStep step, BundleFact fact, Stamp at)
    {
        step.Kind = fact.IsFrontend ? StepKind.Frontend : StepKind.Run;
        step.Command = StepText.CommandOf(fact.Args);
        step.Instruction = fact.IsFrontend ? "frontend " + StepText.Cut(string.Join(' ', fact.Args)) : StepText.InstructionOf(fact.Args);
        step.Network = !fact.OwnNetwork ? step.BuilderContainer.Length > 0 ? StepNetwork.None : StepNetwork.Host : fact.HasNetworkHook ? StepNetwork.Bridge : StepNetwork.Isolated;
        step.Layer = fact.Layer.Length > 0 ? fact.Layer : step.Layer;
        LayerKnown?.Invoke(step);
        if (step.Build is null)
        {
            Place(step, at);
        }
        else
        {
            Number(step, step.Build);
            BuildRegistry.Touch(step.Build, at);
        }
    }

    private void Place(BuildStep step, Stamp at)
    {
        Build build = Choose(step, at);
        build.Add(step);
        Number(step, build);
        BuildRegistry.Touch(build, at);
        Placed?.Invoke(step, at);
    }

    private Build Choose(BuildStep step, Stamp at)
    {
        Builder builder = step.PlannedBuilder;
        List<Build> active = [.. builds.ActiveOn(step.Engine, builder).Where(b => b.BuilderContainer == step.BuilderContainer)];
        if (step.Kind == StepKind.Run && step.Command.Length > 0)
        {
            List<Build> matching = [.. active.Where(b => b.Dockerfile?.FindRun(step.Command) is not null)];
            if (matching.Count > 0)
            {
                return matching.Find(b => !b.Steps.Any(s => s.Command == step.Command)) ?? matching[0];
            }

            Dockerfile? known = _dockerfiles.FindLast(d => d.Engine == step.Engine && d.File.FindRun(step.Command) is not null).File
                ?? state.Clients.Eligible(step.Engine, at).Select(static s => s.Dockerfile).LastOrDefault(d => d?.FindRun(step.Command) is not null);
            Build? without = active.Find(b => b.Dockerfile is null
                && (known is null || b.Steps.All(s => s.Command.Length == 0 || known.FindRun(s.Command) is not null)));
            if (without is not null)
            {
                if (known is not null)
                {
                    Assign(without, known, at);
                }

                return without;
            }

            if (known is not null)
            {
                // 20.10 does not write an unchanged Dockerfile again: the step's text is the first trace of this build.
                Build found = Open(step);
                Assign(found, known, at);
                return found;
            }
        }

        if (active.Count > 1)
        {
            active[^1].Note("a step could belong to another build that ran at the same time");
        }

        return active.Count > 0 ? active[^1] : Open(step);
    }

    private Build Open(BuildStep step)
    {
        // Who asks a builder in a container need not pass by this host's engine.
        BuildClient? daemon = step.PlannedBuilder == Builder.ContainerDriver && step.Launcher?.Parent is { } parent
            ? new BuildClient(0.5, Transport.Local, null, 0, ProcessSnapshot.Of(parent), "the builder itself: who asked it was not seen")
            : null;
        return builds.Start(step.PlannedBuilder, step.Engine, step.Started, builderContainer: step.BuilderContainer, requester: daemon);
    }

    private void Assign(Build build, Dockerfile dockerfile, Stamp at)
    {
        build.Dockerfile = dockerfile;
        build.BaseImages = dockerfile.BaseImages;
        foreach (BuildStep step in build.Steps)
        {
            Number(step, build);
        }

        builds.ChooseClients(build, at);
        BuildRegistry.Touch(build, at);
    }

    private static void Number(BuildStep step, Build build)
    {
        if (build.Dockerfile is not { } dockerfile || step.Kind != StepKind.Run)
        {
            return;
        }

        step.Total = dockerfile.Instructions.Count;
        int after = 0;
        while (dockerfile.FindRun(step.Command, after) is { } instruction)
        {
            if (!build.Steps.Any(s => !ReferenceEquals(s, step) && s.Index == instruction.Index))
            {
                step.Index = instruction.Index;
                step.Instruction = StepText.Cut(instruction.Text);
                return;
            }

            after = instruction.Index;
        }
    }
}
