using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Builders;

/// <summary>Builders that need no daemon: buildah, podman, and executors that work in their own container as kaniko does.</summary>
/// <remarks>
/// The builder is the requester: its process, and who started it. A step is known by what runs below the builder, not by
/// the builder's name: a runtime on a buildah bundle, a copy of the builder that changes its root, or, for an executor,
/// any child that runs a program. What the builder itself reaches is a fetch of its build.
/// </remarks>
internal sealed class DaemonlessTracker(CoreState state, BuildRegistry builds)
{
    private const long EndPatience = Stamp.Second / 2;
    private const long IdleEnd = 30 * Stamp.Second;
    private const int MaximumStores = 64;

    private readonly Dictionary<Build, DaemonlessBuild> _running = [];
    private readonly Dictionary<string, BuildStep> _steps = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Build> _stores = new(StringComparer.Ordinal);

    /// <summary>A process that belongs to no step runs a new program.</summary>
    /// <returns>True when that is all there is to it.</returns>
    public bool OnProgram(ProcessNode node, Stamp at)
    {
        if (ReexecName.IsChrootStep(node.Arguments))
        {
            // It starts itself a second time in the same process, to be in new namespaces.
            if (node.ScopeForChildren is not StepScope && BuildOf(node, at) is { } build)
            {
                _ = Begin(build, node, "chroot", launcher: node, runtime: null, at);
            }

            return true;
        }

        if (node.Scope is BuilderScope scope)
        {
            if (scope.Build.Builder == Builder.Kaniko && _running.TryGetValue(scope.Build, out DaemonlessBuild? executor)
                && ReferenceEquals(node.Parent, executor.Owner))
            {
                BuildStep step = Begin(scope.Build, node, "run", launcher: node, runtime: null, at);
                Describe(step, node.ArgumentList(), at);
                return true;
            }

            // A copy of the builder in a user namespace of its own, a helper, or a runtime: the last is looked at further.
            return false;
        }

        bool inContainer = node.Scope is ContainerScope;
        if (BuilderCommand.MayBe(node.Arguments, inContainer) && BuilderCommand.Parse(node.ArgumentList(), inContainer) is { } command)
        {
            Open(node, command, at);
            return true;
        }

        return false;
    }

    /// <summary>A process of a step runs a new program: the first below a change of root is the instruction.</summary>
    public void OnStepProgram(ProcessNode node, Stamp at)
    {
        if (node.Scope is StepScope { Step: { Command.Length: 0, Build: { } build } step } && _running.ContainsKey(build)
            && step.Runtime is null && !ReexecName.IsPart(node.Arguments))
        {
            Describe(step, node.ArgumentList(), at);
        }
    }

    /// <summary>A runtime is started on a buildah bundle.</summary>
    public void RuntimeStarted(ProcessNode node, string id, string bundle, Stamp at)
    {
        if (BuildOf(node, at) is { } build)
        {
            BuildStep step = Begin(build, node, id, launcher: node.Parent, runtime: node, at);
            _steps[id] = step;
            state.Output.Ask(new BundleLookup(-1, id, bundle, (node.Parent ?? node).Key.Pid));
        }
    }

    /// <summary>A runtime is told to remove a step's container: what ran in it is over.</summary>
    public static void RuntimeDeletes(ProcessNode node, Stamp at)
    {
        if (node.Scope is BuilderScope { Build: { } build })
        {
            foreach (BuildStep step in build.Steps.Where(s => s.Ended is null && s.Runtime is { } r && ReferenceEquals(r.Parent, node.Parent)).ToList())
            {
                Close(step, step.LastChild?.Status ?? 0, step.LastChild?.At ?? at);
            }
        }
    }

    /// <summary>The bundle's text arrived.</summary>
    /// <returns>False when it is no step of ours.</returns>
    public bool Learn(BundleFact fact, Stamp at)
    {
        if (!_steps.Remove(fact.StepId, out BuildStep? step))
        {
            return false;
        }

        step.Network = fact.OwnNetwork ? StepNetwork.Bridge : step.BuilderContainer.Length > 0 ? StepNetwork.None : StepNetwork.Host;
        Describe(step, fact.Args, at);
        return true;
    }

    /// <summary>The Dockerfile that a builder's command line names arrived.</summary>
    /// <returns>False when the process is no builder of ours.</returns>
    public bool Learn(Dockerfile dockerfile, int pid, Stamp at)
    {
        if (_running.Values.FirstOrDefault(r => r.Owner.Key.Pid == pid)?.Build is not { } build)
        {
            return false;
        }

        if (build.Dockerfile is null)
        {
            build.Dockerfile = dockerfile;
            build.BaseImages = dockerfile.BaseImages;
            foreach (BuildStep step in build.Steps)
            {
                Number(step, build);
            }

            BuildRegistry.Touch(build, at);
        }

        return true;
    }

    public void Learn(StoreImageFact fact)
    {
        if (_stores.Remove(fact.BuildId, out Build? build))
        {
            build.ImageId = fact.ImageId;
            build.Tags = fact.Names.Count > 0 ? fact.Names : build.Tags;
            build.Dirty = true;
        }
    }

    /// <summary>A process ended: a step's, a builder's, or nobody's of interest.</summary>
    public void OnExit(ProcessNode node, Stamp at)
    {
        if (node.Scope is StepScope { Step: { Runtime: { } runtime } own } && ReferenceEquals(node.Parent, runtime))
        {
            own.LastChild = (node.ExitStatus, at);
            return;
        }

        Build? build = node.Scope switch
        {
            BuilderScope scope => scope.Build,
            StepScope { Step.Build: { } owner } => owner,
            _ => null,
        };
        if (build is null || !_running.TryGetValue(build, out DaemonlessBuild? running))
        {
            return;
        }

        foreach (BuildStep step in build.Steps.Where(s => s.Ended is null && ReferenceEquals(s.Launcher, node)).ToList())
        {
            Close(step, step.LastChild?.Status ?? node.ExitStatus, step.LastChild?.At ?? at);
        }

        if (ReferenceEquals(node, running.Owner) && running.Act != BuilderAct.Part)
        {
            End(running, node.ExitStatus, at);
        }
    }

    public void OnTick(Stamp at)
    {
        // An end passes another queue than the record of the program, and can be there before the step is known.
        foreach (DaemonlessBuild running in _running.Values)
        {
            foreach (BuildStep step in running.Build.Steps
                .Where(s => s is { Ended: null, Launcher.Ended: { } over } && at.Since(over) > EndPatience)
                .ToList())
            {
                Close(step, step.LastChild?.Status ?? step.Launcher!.ExitStatus, step.LastChild?.At ?? step.Launcher!.Ended!.Value);
            }
        }

        foreach (DaemonlessBuild running in _running.Values
            .Where(r => r.Act != BuilderAct.Part && r.Owner.Ended is { } over && !r.Build.HasRunningStep && at.Since(over) > EndPatience)
            .ToList())
        {
            End(running, running.Owner.ExitStatus, at);
        }

        // A script's last move may never come, and a service that builds for others does not end.
        foreach (DaemonlessBuild running in _running.Values
            .Where(r => (r.Act == BuilderAct.Part || r.Owner.Ended is not null) && !r.Build.HasRunningStep && at.Since(r.Build.LastActivity) > IdleEnd)
            .ToList())
        {
            Finish(running, running.Build.LastActivity, BuildRegistry.ResultOf(running.Build));
        }
    }

    private void Open(ProcessNode node, BuilderCommand command, Stamp at)
    {
        // A script's moves are one build: they have a parent in common, and no other build of it is open.
        DaemonlessBuild? script = command.Act == BuilderAct.Build ? null
            : _running.Values.FirstOrDefault(r => r.Act == BuilderAct.Part && node.Parent is not null && ReferenceEquals(r.Owner.Parent, node.Parent));
        if (script is not null)
        {
            script.Owner = node;
            script.Act = command.Act;
            script.Request = command.Act == BuilderAct.Commit ? command : script.Request;
            Label(node, script.Build);
            BuildRegistry.Touch(script.Build, at);
        }
        else
        {
            script = Start(node, command.Builder, command.Act, command, at);
        }

        if (command.BaseImage.Length > 0)
        {
            script.Build.BaseImages = [command.BaseImage];
        }

        if (command.Act == BuilderAct.Build && command.Request.Context != "-" && !command.Request.Context.Contains("://", StringComparison.Ordinal))
        {
            AskForDockerfile(node, command.Request);
        }
    }

    private void AskForDockerfile(ProcessNode node, ClientCommand request)
    {
        string context = request.Context.Length > 0 ? request.Context.TrimEnd('/') + "/" : "";
        ReadOnlySpan<string> files = request.File.Length > 0
            ? request.File.StartsWith('/') || context.Length == 0 ? [request.File] : [request.File, context + request.File]
            : [context + "Containerfile", context + "Dockerfile"];
        foreach (string file in files)
        {
            if (file != "-")
            {
                state.Output.Ask(new ClientDockerfileLookup(-1, node.Key.Pid, file));
            }
        }
    }

    private DaemonlessBuild Start(ProcessNode owner, Builder builder, BuilderAct act, BuilderCommand? command, Stamp at)
    {
        string container = owner.Scope?.ContainerId ?? "";
        var requester = new BuildClient(
            1, Transport.Local, null, 0, ProcessSnapshot.Of(owner),
            command is null ? "instructions are executed below it" : "it is the builder: no daemon stands between who asks and what is done");
        Build build = builds.Start(builder, -1, at, builderContainer: container, requester: requester);
        var running = new DaemonlessBuild(build, owner) { Act = act, Request = command };
        _running[build] = running;
        Label(owner, build);
        return running;
    }

    private void Label(ProcessNode node, Build build)
        => state.Tree.Relabel(node, new BuilderScope(build, build.BuilderContainer), rootItself: true);

    // The build that a part of a builder works for; opened when the builder itself was not recognised.
    private Build? BuildOf(ProcessNode node, Stamp at)
    {
        if (node.Scope is BuilderScope scope)
        {
            return scope.Build;
        }

        ProcessNode? owner = node.Parent;
        while (owner is not null && ReexecName.IsPart(owner.Arguments))
        {
            owner = owner.Parent;
        }

        return owner is null || owner.Key.Pid == 1 ? null : Start(owner, Builder.Buildah, BuilderAct.Part, null, at).Build;
    }

    private BuildStep Begin(Build build, ProcessNode node, string id, ProcessNode? launcher, ProcessNode? runtime, Stamp at)
    {
        var step = new BuildStep(runtime is null ? state.MakeId("s", build.Id, id, at.Boot.ToString(System.Globalization.CultureInfo.InvariantCulture)) : id, -1, at)
        {
            Launcher = launcher,
            Runtime = runtime,
            PlannedBuilder = build.Builder,
            BuilderContainer = build.BuilderContainer,
            Network = build.BuilderContainer.Length > 0 ? StepNetwork.None : StepNetwork.Host,
        };
        build.Add(step);
        state.Tree.Relabel(node, new StepScope(step), rootItself: build.Builder == Builder.Kaniko);
        BuildRegistry.Touch(build, at);
        return step;
    }

    private static void Describe(BuildStep step, IReadOnlyList<string> arguments, Stamp at)
    {
        step.Command = StepText.CommandOf(arguments);
        step.Instruction = StepText.InstructionOf(arguments);
        Number(step, step.Build!);
        BuildRegistry.Touch(step.Build!, at);
    }

    private static void Number(BuildStep step, Build build)
    {
        if (build.Dockerfile?.FindRun(step.Command) is { } instruction)
        {
            step.Total = build.Dockerfile.Instructions.Count;
            step.Index = instruction.Index;
            step.Instruction = StepText.Cut(instruction.Text);
        }
    }

    private static void Close(BuildStep step, int status, Stamp at)
    {
        int signal = status & 0x7F;
        step.Ended = at;
        step.ExitCode = signal != 0 ? 128 + signal : (status >> 8) & 0xFF;
        step.Killed = signal == 9;
        BuildRegistry.Touch(step.Build!, at);
    }

    private void End(DaemonlessBuild running, int status, Stamp at)
    {
        foreach (BuildStep step in running.Build.Steps.Where(static s => s.Ended is null).ToList())
        {
            Close(step, step.LastChild?.Status ?? (step.Launcher is { Ended: not null } over ? over.ExitStatus : 9), step.LastChild?.At ?? at);
        }

        // buildah and podman end with 130 after an interrupt, others by the signal itself.
        int signal = status & 0x7F;
        int code = (status >> 8) & 0xFF;
        BuildResult result = signal is 2 or 9 or 15 || code is 130 or 143 ? BuildResult.Cancelled
            : code != 0 || signal != 0 ? BuildResult.Failed
            : BuildResult.Succeeded;
        if (result == BuildResult.Succeeded && running.Request is { Request.Tags: { Count: > 0 } tags } command)
        {
            running.Build.Tags = tags;
            AskForImage(running, command);
        }

        Finish(running, at, result);
    }

    private void AskForImage(DaemonlessBuild running, BuilderCommand command)
    {
        ProcessNode owner = running.Owner;
        bool contained = running.Build.BuilderContainer.Length > 0;
        if (command.Builder != Builder.Buildah || (command.StorageRoot.Length == 0 && owner.Uid != 0)
            || (contained && (owner.Parent is null || owner.Parent.Ended is not null)))
        {
            // The store is in a home directory that no record names, or went away with its container.
            return;
        }

        if (_stores.Count >= MaximumStores)
        {
            _stores.Clear();
        }

        // containers/storage writes names in full; without a registry it takes "localhost".
        _stores[running.Build.Id] = running.Build;
        state.Output.Ask(new StoreImageLookup(
            running.Build.Id,
            contained ? owner.Parent!.Key.Pid : 0,
            command.StorageRoot.Length > 0 ? command.StorageRoot : "/var/lib/containers/storage",
            [.. command.Request.Tags, .. command.Request.Tags.Select(static t => "localhost/" + t)]));
    }

    private void Finish(DaemonlessBuild running, Stamp at, BuildResult result)
    {
        _ = _running.Remove(running.Build);
        foreach (BuildStep step in running.Build.Steps)
        {
            _ = _steps.Remove(step.Id);
        }

        builds.End(running.Build, at, result);
    }

    private sealed class DaemonlessBuild(Build build, ProcessNode owner)
    {
        public Build Build { get; } = build;

        /// <summary>The builder's process; of a script, the latest of its commands.</summary>
        public ProcessNode Owner { get; set; } = owner;

        public BuilderAct Act { get; set; }

        /// <summary>What it was told; null when it was recognised by what it does.</summary>
        public BuilderCommand? Request { get; set; }
    }
}
