using System.Text;
using ImageSentinel.Detection.Builders;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Builds;

/// <summary>Recognises the runtimes that start steps and containers, and labels what descends from them.</summary>
/// <remarks>A label follows ancestry alone. What a process inside a step or container calls itself changes nothing.</remarks>
internal sealed class RuntimeTracker(CoreState state, BuildKitTracker buildKit, ClassicTracker classic, DaemonlessTracker daemonless)
{
    /// <summary>A process runs a new program: a runtime that starts or kills a step, a container's shim, or nothing to us.</summary>
    public void OnProgram(ProcessNode node, Stamp at)
    {
        if (node.Scope is ContainerScope container && node.Parent is { } parent
            && ReferenceEquals(parent.ScopeForChildren, container) && !ReferenceEquals(parent.Scope, container)
            && !ReferenceEquals(container.Runtime, parent))
        {
            // Started by the container's shim, not by something inside it.
            OnContainerRuntime(node, container, at);
            return;
        }

        if (node.Scope is StepScope or ContainerScope { Step: not null })
        {
            // Whatever a step calls itself, it stays that step's.
            daemonless.OnStepProgram(node, at);
            return;
        }

        if (daemonless.OnProgram(node, at))
        {
            return;
        }

        if (node.Scope is EngineScope daemon && IsSnapshotFetch(node.Arguments))
        {
            buildKit.ContextFetched(daemon.Engine, at);
        }
        else if (RuncCommand.TryParse(node.Arguments, out RuncCommand command))
        {
            OnRuntime(node, command, at);
        }
        else if (node.Scope is not ContainerScope && (node.Scope is not null || node.Uid == 0) && ShimContainer(node.Arguments) is { } containerId)
        {
            int engine = node.Scope is EngineScope scope ? scope.Engine : state.Engines.Count == 1 ? state.Engines.Keys.First() : EngineOf(containerId);
            state.Tree.Relabel(node, classic.ScopeOf(engine, containerId, at), rootItself: false);
        }
    }

    private static void OnContainerRuntime(ProcessNode node, ContainerScope container, Stamp at)
    {
        if (!RuncCommand.TryParse(node.Arguments, out RuncCommand command))
        {
            return;
        }

        if (command.Verb == RuncVerb.Create)
        {
            container.Runtime = node;
        }
        else if (command.Verb == RuncVerb.Delete)
        {
            ClassicTracker.Deleted(container, at);
        }
    }

    private void OnRuntime(ProcessNode node, RuncCommand command, Stamp at)
    {
        // Anybody may call a program runc and name any bundle. Below an engine or in a container it can only be theirs;
        // elsewhere it is believed of root, and of a user's own buildah or podman, which build as that user.
        bool believed = node.Scope is not null || node.Uid == 0;
        if (command.Verb == RuncVerb.Kill && believed)
        {
            buildKit.RuntimeKilled(Encoding.UTF8.GetString(command.Id), at);
            return;
        }

        if (command.Verb == RuncVerb.Delete)
        {
            DaemonlessTracker.RuntimeDeletes(node, at);
            return;
        }

        if (command.Verb is not (RuncVerb.Run or RuncVerb.Create))
        {
            return;
        }

        BundleKind kind = BundlePath.Classify(command.Bundle, out string id);
        if (kind == BundleKind.BuildKit && command.Verb == RuncVerb.Run && believed)
        {
            Builder builder = node.Scope is ContainerScope ? Builder.ContainerDriver : Builder.BuildKit;
            int engine = node.Scope switch
            {
                EngineScope scope => scope.Engine,
                ContainerScope container => container.Engine,
                _ => EngineOfPath(command.Bundle),
            };
            buildKit.RuntimeStarted(node, engine, id, Encoding.UTF8.GetString(command.Bundle), builder, node.Scope?.ContainerId ?? "", at);
        }
        else if (kind == BundleKind.Buildah)
        {
            daemonless.RuntimeStarted(node, id, Encoding.UTF8.GetString(command.Bundle), at);
        }
        else if (kind == BundleKind.Podman && node.Scope is null)
        {
            // No engine tells of it; nothing is asked, since it can be no step.
            state.Tree.Relabel(node, new ContainerScope(-1, id) { Created = at, Settled = true, Runtime = node }, rootItself: false);
        }
        else if (kind == BundleKind.Container && node.Scope is not ContainerScope && believed)
        {
            int engine = node.Scope is EngineScope scope ? scope.Engine : EngineOf(id);
            state.Tree.Relabel(node, classic.ScopeOf(engine, id, at), rootItself: false);
        }
    }

    private int EngineOfPath(ReadOnlySpan<byte> path)
    {
        foreach (EngineFact engine in state.Engines.Values)
        {
            if (engine.DataRoot.Length > 0 && path.StartsWith(Encoding.UTF8.GetBytes(engine.DataRoot + "/")))
            {
                return engine.Index;
            }
        }

        return -1;
    }

    // With a containerd of its own for several engines, a shim does not say whose container it carries: ask each.
    private int EngineOf(string containerId)
    {
        foreach (int engine in state.Engines.Keys)
        {
            state.Output.Ask(new ContainerLookup(engine, containerId));
        }

        return state.Engines.Count > 0 ? state.Engines.Keys.Min() : -1;
    }

    // BuildKit: git … --git-dir <data root>/…/diff … fetch|ls-remote. The classic builder's git has no --git-dir.
    private static bool IsSnapshotFetch(ReadOnlySpan<byte> arguments)
        => arguments.StartsWith("git\0"u8) && arguments.IndexOf("\0--git-dir\0"u8) > 0
        && (arguments.IndexOf("\0fetch\0"u8) > 0 || arguments.IndexOf("\0ls-remote\0"u8) > 0);

    // containerd-shim-runc-v2 -namespace moby -id <64 hex> -address …
    private static string? ShimContainer(ReadOnlySpan<byte> arguments)
    {
        int end = arguments.IndexOf((byte)0);
        if (end < 0)
        {
            return null;
        }

        ReadOnlySpan<byte> program = arguments[..end];
        program = program[(program.LastIndexOf((byte)'/') + 1)..];
        int at = arguments.IndexOf("\0-id\0"u8);
        // "… start" is the short-lived one that starts the shim proper; runtimes are the latter's children.
        if (!program.StartsWith("containerd-shim"u8) || at < 0 || arguments.EndsWith("\0start\0"u8))
        {
            return null;
        }

        ReadOnlySpan<byte> id = arguments[(at + 5)..];
        int stop = id.IndexOf((byte)0);
        id = stop < 0 ? id : id[..stop];
        return BundlePath.IsContainerId(id) ? Encoding.ASCII.GetString(id) : null;
    }
}
