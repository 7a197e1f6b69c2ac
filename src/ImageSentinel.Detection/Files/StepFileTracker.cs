using System.Text;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Indicators;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Files;

/// <summary>Gives the files that appear in layers to the steps that wrote them, and has the telling ones looked at.</summary>
/// <remarks>
/// A layer belongs to one step, so the layer names the step, whoever wrote. Until the layer is known (the daemon's mount
/// table is read a moment after the runtime starts) the writing process does; what neither names waits
/// <see cref="Patience"/>, and is then an ordinary container's or the daemon's own.
/// </remarks>
internal sealed class StepFileTracker(CoreState state, DownloadedExecutableDetector downloads, PersistenceDetector persistence, IndicatorDetector indicators)
{
    private const long Patience = 4 * Stamp.Second;

    /// <summary>A file that was created and not closed since is looked at all the same.</summary>
    private const long Unclosed = 400 * Stamp.Millisecond;

    /// <summary>Forks and execs pass other queues and arrive later than a file event: who wrote is asked when all are in.</summary>
    private const long ExecDelay = 60 * Stamp.Millisecond;

    /// <summary>File events of a step that are read after its end: a flood of them waits in the kernel's queue.</summary>
    private const long Afterglow = 10 * Stamp.Second;

    private const int MaximumLayers = 2048;
    private const int MaximumWaitingLayers = 64;
    private const int MaximumWaiting = 2048;
    private const int MaximumLooks = 8;

    private readonly Dictionary<(int Engine, string Layer), BuildStep> _layers = [];
    private readonly Queue<(int Engine, string Layer)> _order = new();
    private readonly Dictionary<(int Engine, string Layer), WaitingLayer> _waiting = [];
    private readonly List<(BuildStep Step, StepFile File)> _unclosed = [];
    private readonly List<BuildStep> _live = [];
    private readonly List<(BuildStep Step, StepFile File, int Pid)> _fresh = [];

    /// <summary>A step's layer became known.</summary>
    public void LayerKnown(BuildStep step)
    {
        if (step.Layer.Length == 0 || step.Cached)
        {
            return;
        }

        Know((step.Engine, step.Layer), step);
        if (_waiting.Remove((step.Engine, step.Layer), out WaitingLayer? waiting))
        {
            foreach (WaitingEvent e in waiting.Events)
            {
                Record(step, step.Layer, e.Path, e.Change, e.Pid, e.At);
            }
        }
    }

    /// <summary>The builder committed a classic step: its files now lie in the image's layer, and what vanished with the
    /// container before it could be looked at is there.</summary>
    public void Committed(BuildStep step, string layer)
    {
        foreach (StepFile file in step.Files.All)
        {
            file.Layer = layer;
            if (file is { Size: < 0, Looking: false, Removed: false })
            {
                Look(step, file);
            }
        }

        Know((step.Engine, layer), step);
    }

    public void On(in EngineFileChanged e, ReadOnlySpan<byte> layer, ReadOnlySpan<byte> path)
    {
        if ((e.Change & FileChange.Directory) != 0)
        {
            return;
        }

        (int Engine, string Layer) key = (e.Engine, Encoding.ASCII.GetString(layer));
        if (_layers.TryGetValue(key, out BuildStep? step))
        {
            Record(step, key.Layer, path, e.Change, e.Pid, e.At);
            return;
        }

        ProcessNode? node = e.Pid > 0 ? state.Tree.FindAt(e.Pid, e.At.Wall) : null;
        switch (node?.Scope)
        {
            case StepScope scope:
                Record(scope.Step, key.Layer, path, e.Change, e.Pid, e.At);
                break;
            case ContainerScope { Step: { } classic }:
                Record(classic, key.Layer, path, e.Change, e.Pid, e.At);
                break;
            case EngineScope or ContainerScope { Settled: true }:
                break;
            default:
                Wait(key, path, e);
                break;
        }
    }

    /// <summary>A process runs a program: the file it came from, if a step of the same build wrote it, was executed.</summary>
    public void OnProgram(ProcessNode node, Stamp at)
    {
        BuildStep? step = node.Scope switch
        {
            StepScope scope => scope.Step,
            ContainerScope { Step: { } classic } => classic,
            _ => null,
        };
        if (step is null || node.Exe.IsEmpty)
        {
            return;
        }

        Ran(step, node.Exe, at);

        if (Interpreter.ScriptOf(node.Exe, node.Arguments) is { IsEmpty: false } script)
        {
            Ran(step, script[0] == (byte)'/' ? script : Absolute(node.Cwd, script), at);
        }
    }

    public void Learn(LayerFileFact fact, Stamp at)
    {
        if (!_layers.TryGetValue((fact.Engine, fact.Layer), out BuildStep? step) && !TryFindByFile(fact, out step))
        {
            return;
        }

        if (step.Files.Find(fact.Path) is not { } file)
        {
            return;
        }

        file.Looking = false;
        if (fact.Size >= 0)
        {
            file.Size = fact.Size;
            file.Mode = fact.Mode;
            file.Sha256 = fact.Sha256;
            step.Files.SetKind(file, fact.Kind);
            indicators.JudgeFile(step, file, at);
        }

        file.Note = fact.Note;
        step.Files.Changed = true;
        if (file.LookAgain)
        {
            file.LookAgain = false;
            Look(step, file);
        }

        Judge(step, file, at);
    }

    public void OnTick(Stamp at)
    {
        NameWriters(at);
        for (int i = _unclosed.Count - 1; i >= 0; i--)
        {
            (BuildStep step, StepFile file) = _unclosed[i];
            if (at.Since(file.Last) > Unclosed)
            {
                _unclosed.RemoveAt(i);
                if (file is { Looks: 0, Removed: false })
                {
                    Look(step, file);
                }
            }
        }

        foreach ((int Engine, string Layer) key in _waiting.Where(w => at.Since(w.Value.Since) > Patience).Select(static w => w.Key).ToList())
        {
            _ = _waiting.Remove(key);
        }

        for (int i = _live.Count - 1; i >= 0; i--)
        {
            BuildStep step = _live[i];
            downloads.Judge(step, at);
            if (step.Ended is { } ended && at.Since(ended) > 15 * Stamp.Second)
            {
                step.Files.Settle();
                _live.RemoveAt(i);
            }
        }
    }

    private void Know((int Engine, string Layer) key, BuildStep step)
    {
        if (_layers.TryAdd(key, step))
        {
            _order.Enqueue(key);
            while (_order.Count > MaximumLayers)
            {
                _ = _layers.Remove(_order.Dequeue());
            }
        }
    }

    private bool TryFindByFile(LayerFileFact fact, out BuildStep step)
    {
        // The layer was not known when the file was noted: its process was.
        foreach (BuildStep live in _live)
        {
            if (live.Engine == fact.Engine && live.Files.Find(fact.Path) is { } file && file.Layer == fact.Layer)
            {
                step = live;
                return true;
            }
        }

        step = null!;
        return false;
    }

    private void Wait((int Engine, string Layer) key, ReadOnlySpan<byte> path, in EngineFileChanged e)
    {
        if (!_waiting.TryGetValue(key, out WaitingLayer? waiting))
        {
            if (_waiting.Count >= MaximumWaitingLayers)
            {
                return;
            }

            waiting = new WaitingLayer(e.At);
            _waiting[key] = waiting;
        }

        if (waiting.Events.Count < MaximumWaiting)
        {
            waiting.Events.Add(new WaitingEvent(path.ToArray(), e.Change, e.Pid, e.At));
        }
    }

    private void Record(BuildStep step, string layer, ReadOnlySpan<byte> path, FileChange change, int pid, Stamp at)
    {
        StepFiles files = step.Files;
        StepFile? file = files.Find(path);
        bool appeared = (change & (FileChange.Created | FileChange.Written | FileChange.MovedIn | FileChange.Modified)) != 0;
        bool vanished = (change & (FileChange.Deleted | FileChange.MovedOut)) != 0;
        if (!appeared)
        {
            if (vanished && file is not null && step.Ended is null)
            {
                file.Removed = true;
                files.Changed = true;
            }

            return;
        }

        if (step.Ended is { } ended && at.Since(ended) > Afterglow)
        {
            // The engine itself, at work in the layer.
            return;
        }

        if (_live.Count == 0 || !_live.Contains(step))
        {
            _live.Add(step);
        }

        bool fresh = files.See(path);
        if (file is null)
        {
            PersistenceKind kind = Persistence.Of(path);
            if (kind == PersistenceKind.None && !files.HasRoom(step.WentSomewhereNew))
            {
                return;
            }

            file = new StepFile(path.ToArray(), layer, at) { Persistence = kind };
            files.Add(file);
            _fresh.Add((step, file, pid));
        }
        else if (!fresh)
        {
            file.Last = at;
        }

        file.Removed = false;
        if ((change & (FileChange.Written | FileChange.MovedIn)) != 0)
        {
            Look(step, file);
        }
        else if (file.Looks == 0)
        {
            _unclosed.Add((step, file));
        }

        if (step.Build is { } build)
        {
            build.Dirty = true;
        }
    }

    private void Look(BuildStep step, StepFile file)
    {
        if (file.Looking)
        {
            file.LookAgain = true;
        }
        else if (file.Looks < MaximumLooks)
        {
            file.Looks++;
            file.Looking = true;
            state.Output.Ask(new LayerFileLookup(step.Engine, file.Layer, file.Name));
        }
    }

    private void Ran(BuildStep step, ReadOnlySpan<byte> path, Stamp at)
    {
        if (path.Length < 2 || path[0] != (byte)'/')
        {
            return;
        }

        step.Files.Ran(path[1..], at);
        foreach (BuildStep other in step.Build?.Steps ?? [step])
        {
            if (other.Files.Find(path[1..]) is { ExecutedAt: null } file)
            {
                file.ExecutedAt = at;
                other.Files.Changed = true;
                Judge(other, file, at);
            }
        }
    }

    private void Judge(BuildStep step, StepFile file, Stamp at)
    {
        if (!file.WriterKnown)
        {
            return;
        }

        downloads.Judge(step, file, at);
        if (file.Persistence != PersistenceKind.None)
        {
            persistence.Judge(step, file, at);
        }

        if (step.Build is { } build)
        {
            build.Dirty = true;
        }
    }

    private void NameWriters(Stamp at)
    {
        int done = 0;
        (ProcessNode? Node, ProcessSnapshot? Snapshot) last = default;
        foreach ((BuildStep step, StepFile file, int pid) in _fresh)
        {
            if (at.Since(file.First) < ExecDelay)
            {
                break;
            }

            done++;
            file.WriterKnown = true;
            ProcessNode? node = pid > 0 ? state.Tree.FindAt(pid, file.First.Wall) : null;

            // runc's first process prepares etc/hosts, etc/resolv.conf and mount points before it becomes the step's command.
            if (node is not null && IsRuntime(step, node, file.First.Wall))
            {
                step.Files.Forget(file);
                continue;
            }

            if (node is not null && IsOf(step, node))
            {
                // One process writes thousands of files in a row: its picture is taken once a round.
                last = ReferenceEquals(last.Node, node) ? last : (node, ProcessSnapshot.Of(node, file.First.Wall));
                file.WrittenBy = last.Snapshot;
            }

            Judge(step, file, at);
        }

        _fresh.RemoveRange(0, done);
    }

    // The clone that becomes the step's command still is the runtime then, with the runtime's own command line. No program
    // in the step can pass for it: it would have to know the bundle's path on the host.
    private static bool IsRuntime(BuildStep step, ProcessNode node, long wall)
        => step.Launcher is { } launcher
        && (ReferenceEquals(launcher, node)
            || node.ArgumentsAt(wall) is var arguments && (arguments.SequenceEqual(launcher.Arguments) || arguments.SequenceEqual("runc\0init\0"u8)));

    private static bool IsOf(BuildStep step, ProcessNode node) => node.Scope switch
    {
        StepScope scope => ReferenceEquals(scope.Step, step),
        ContainerScope { Step: { } classic } => ReferenceEquals(classic, step),
        _ => false,
    };

    private static byte[] Absolute(ReadOnlySpan<byte> directory, ReadOnlySpan<byte> name)
    {
        ReadOnlySpan<byte> bare = name.StartsWith("./"u8) ? name[2..] : name;
        return directory.EndsWith("/"u8) ? [.. directory, .. bare] : [.. directory, (byte)'/', .. bare];
    }

    private sealed record WaitingEvent(byte[] Path, FileChange Change, int Pid, Stamp At);

    private sealed class WaitingLayer(Stamp since)
    {
        public Stamp Since { get; } = since;

        public List<WaitingEvent> Events { get; } = [];
    }
}
