using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Processes;

/// <summary>All processes of the host, by pid and incarnation, with the scope each inherited at its birth.</summary>
/// <remarks>
/// Ended processes stay for <see cref="Grace"/>: an audit record is written when a call returns and read a little later,
/// often after the process is gone. Bounded: beyond <see cref="Capacity"/> the longest-ended go first.
/// </remarks>
public sealed class ProcessTree
{
    /// <summary>How long an ended process can still be found.</summary>
    public const long Grace = 60 * Stamp.Second;

    public const int Capacity = 200_000;

    // The audit stamp is the tick's, up to 4 ms (HZ=250) or 10 ms (HZ=100) before the real moment.
    private const long TickSlack = 12 * Stamp.Millisecond;

    private readonly Dictionary<int, ProcessNode> _byPid = [];
    private readonly Queue<ProcessNode> _ended = new();

    public int Count => _byPid.Count;

    /// <summary>Processes forgotten before their grace was over because the table was full.</summary>
    public long Evicted { get; private set; }

    public IEnumerable<ProcessNode> Current => _byPid.Values;

    public ProcessNode? Find(int pid) => _byPid.GetValueOrDefault(pid);

    /// <summary>The incarnation of <paramref name="pid"/> that was running at a wall-clock moment.</summary>
    public ProcessNode? FindAt(int pid, long wall)
    {
        ProcessNode? newest = _byPid.GetValueOrDefault(pid);
        for (ProcessNode? node = newest; node is not null; node = node.Previous)
        {
            if (node.Started.Wall - TickSlack <= wall)
            {
                return node;
            }
        }

        return newest;
    }

    public ProcessNode Fork(in ProcessForked e)
    {
        ProcessNode? known = Find(e.Pid);

        // An audit record can overtake the fork event of the process that caused it: keep what the record told, and
        // take the true parent from the fork.
        if (known is { Adopted: true, Ended: null } && known.Started.Boot >= e.At.Boot - Stamp.Second)
        {
            known.Adopted = false;
            known.Parent = Find(e.ParentPid) ?? known.Parent;
            known.Key = new ProcessKey(e.Pid, e.At.Boot);
            if (known.Scope is null && known.Parent?.ScopeForChildren is { } inherited)
            {
                known.Scope = inherited;
                known.ScopeForChildren = inherited;
            }

            return known;
        }

        var node = new ProcessNode(new ProcessKey(e.Pid, e.At.Boot), e.At, Find(e.ParentPid));
        Insert(node);
        return node;
    }

    public ProcessNode Execute(in ProcessExecuted e)
    {
        ProcessNode node = FindAt(e.Pid, e.CallWall) ?? Adopt(e.At, e.Pid, e.ParentPid);
        node.SetProgram(e.CallWall, e.Exe, e.Arguments, e.Cwd);
        SetCredentials(node, e.Uid, e.Gid, e.LoginUid, e.Session);
        return node;
    }

    /// <summary>Finds the caller of an audited call, or makes a node from what the record says of it.</summary>
    public ProcessNode Resolve(in Caller caller, Stamp at, long callWall)
    {
        ProcessNode? node = FindAt(caller.Pid, callWall);
        if (node is null)
        {
            node = Adopt(at, caller.Pid, caller.ParentPid);
            node.SetProgram(callWall, caller.Exe, [], []);
        }
        else if (node.Exe.IsEmpty && !caller.Exe.IsEmpty)
        {
            node.SetProgram(callWall, caller.Exe, node.Arguments, node.Cwd);
        }

        SetCredentials(node, caller.Uid, caller.Gid, caller.LoginUid, caller.Session);
        return node;
    }

    /// <summary>A process that ran before we did, or that we met without its birth.</summary>
    public ProcessNode Learn(ProcessFact fact, Stamp at)
    {
        ProcessNode? node = Find(fact.Pid);
        if (node is null || node.Ended is not null)
        {
            long age = Math.Max(0, at.Boot - fact.StartBoot);
            var started = new Stamp(fact.StartBoot, at.Wall - age);
            node = new ProcessNode(new ProcessKey(fact.Pid, fact.StartBoot), started, Find(fact.ParentPid)) { Adopted = true };
            Insert(node);
        }

        if (node.Arguments.IsEmpty || node.Adopted)
        {
            node.SetProgram(
                node.Started.Wall,
                System.Text.Encoding.UTF8.GetBytes(fact.Exe),
                Join(fact.Args),
                System.Text.Encoding.UTF8.GetBytes(fact.Cwd));
        }

        if (node.Parent is null && Find(fact.ParentPid) is { } parent)
        {
            node.Parent = parent;
            if (node.Scope is null && node.ScopeForChildren is null && parent.ScopeForChildren is { } inherited)
            {
                // A record met this process before its parent was read: the label comes late, and to all below it.
                node.Scope = inherited;
                Relabel(node, inherited, rootItself: true);
            }
        }

        SetCredentials(node, fact.Uid, fact.Gid, fact.LoginUid, fact.Session);
        return node;
    }

    /// <returns>The process that ended, or null when it was not known.</returns>
    public ProcessNode? Exit(in ProcessExited e)
    {
        ProcessNode? node = Find(e.Pid);
        if (node is null || node.Ended is not null)
        {
            return null;
        }

        node.Ended = e.At;
        node.ExitStatus = e.Status;
        _ended.Enqueue(node);
        return node;
    }

    /// <summary>Gives a process and all that already descends from it a scope: used when the label came after the forks.</summary>
    public void Relabel(ProcessNode root, ExecutionScope scope, bool rootItself)
    {
        ExecutionScope? before = root.ScopeForChildren;
        root.ScopeForChildren = scope;
        if (rootItself)
        {
            root.Scope = scope;
        }

        foreach (ProcessNode current in _byPid.Values)
        {
            for (ProcessNode? node = current; node is not null; node = node.Previous)
            {
                if (node != root && ReferenceEquals(node.Scope, before) && DescendsFrom(node, root))
                {
                    node.Scope = scope;
                    node.ScopeForChildren = ReferenceEquals(node.ScopeForChildren, before) ? scope : node.ScopeForChildren;
                }
            }
        }
    }

    /// <summary>Forgets what ended more than <see cref="Grace"/> ago.</summary>
    public void Expire(Stamp now)
    {
        while (_ended.TryPeek(out ProcessNode? node)
            && (now.Since(node.Ended!.Value) > Grace || _byPid.Count > Capacity))
        {
            _ = _ended.Dequeue();
            Evicted += now.Since(node.Ended!.Value) > Grace ? 0 : 1;
            Remove(node);
        }
    }

    public static bool DescendsFrom(ProcessNode node, ProcessNode ancestor)
    {
        // Bounded: a parent chain longer than any pid space means the data contradicts itself.
        int steps = 0;
        for (ProcessNode? current = node.Parent; current is not null && steps < 100_000; current = current.Parent, steps++)
        {
            if (ReferenceEquals(current, ancestor))
            {
                return true;
            }
        }

        return false;
    }

    private static void SetCredentials(ProcessNode node, uint uid, uint gid, uint loginUid, uint session)
    {
        node.Uid = uid;
        node.Gid = gid;
        node.LoginUid = loginUid;
        node.Session = session;
        node.HasCredentials = true;
    }

    private static byte[] Join(IReadOnlyList<string> arguments)
        => arguments.Count == 0 ? [] : System.Text.Encoding.UTF8.GetBytes(string.Join('\0', arguments) + "\0");

    private ProcessNode Adopt(Stamp at, int pid, int parentPid)
    {
        ProcessNode? parent = parentPid > 1 ? Find(parentPid) : null;
        var node = new ProcessNode(new ProcessKey(pid, at.Boot), at, parent) { Adopted = true };
        Insert(node);
        return node;
    }

    private void Insert(ProcessNode node)
    {
        if (_byPid.TryGetValue(node.Key.Pid, out ProcessNode? previous))
        {
            node.Previous = previous;
            previous.Previous = null;
            if (previous.Ended is null)
            {
                // Its exit was lost; the pid could not be given away otherwise.
                previous.Ended = node.Started;
                _ended.Enqueue(previous);
            }
        }

        _byPid[node.Key.Pid] = node;
    }

    private void Remove(ProcessNode node)
    {
        // A long-dead ancestor keeps nothing alive but itself; children still point at it and keep its name.
        node.Previous = null;
        if (!_byPid.TryGetValue(node.Key.Pid, out ProcessNode? current))
        {
            return;
        }

        if (ReferenceEquals(current, node))
        {
            _ = _byPid.Remove(node.Key.Pid);
        }
        else if (ReferenceEquals(current.Previous, node))
        {
            current.Previous = null;
        }
    }
}
