using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Names;

/// <summary>Which address was whose, and when. An engine gives an address to the next step as soon as the last one is gone.</summary>
/// <remarks>
/// Proof is the network namespace of one of the step's own processes, read while it ran. Where that process was too quick,
/// a flow that only one step can have made: the only running step without an address attempted exactly this
/// destination, and only one address without an owner reached it. What neither proves stays unowned: no build is blamed.
/// </remarks>
internal sealed class StepAddresses(CoreState state)
{
    private const int MaximumClaims = 4096;
    private const int MaximumAsks = 64;
    private const int MaximumPids = 16;
    private const long Grace = 2 * Stamp.Second;
    private const long FlowWindow = 3 * Stamp.Second;

    private readonly Dictionary<NetAddress, List<BuildStep>> _owners = [];
    private readonly Dictionary<int, BuildStep> _asked = [];
    private readonly List<BuildStep> _running = [];
    private readonly Queue<(NetAddress Source, Destination Destination, Stamp At)> _unowned = new();
    private int _claims;

    /// <summary>Raised when a step's addresses became known.</summary>
    public Action<BuildStep, Stamp>? Claimed { get; set; }

    /// <summary>A process of a step was born or runs a new program: its namespace can be read now.</summary>
    public void Met(BuildStep step, int pid)
    {
        if (step.NetworkPids.Count == 0 && _running.Count < 256 && !_running.Contains(step))
        {
            _running.Add(step);
        }

        if (step.Addresses.Count == 0 && !step.NetworkPids.Contains(pid))
        {
            if (step.NetworkPids.Count >= MaximumPids)
            {
                // The first ones live longest: the step's own shell is among them.
                step.NetworkPids.RemoveAt(MaximumPids / 2);
            }

            step.NetworkPids.Add(pid);
        }

        Ask(step);
    }

    public void Learn(ProcessNetworkFact fact, Stamp at)
    {
        if (_asked.Remove(fact.Pid, out BuildStep? asker))
        {
            asker.NetworkAsked = false;
        }

        if (StepOf(fact) is not { } step)
        {
            // Gone, or another process by now.
            if (asker is not null)
            {
                _ = asker.NetworkPids.Remove(fact.Pid);
                Ask(asker);
            }

            return;
        }

        if (fact.Host)
        {
            // A runtime's own helpers pass through the host's namespace before they enter the step's: asked again later.
            return;
        }

        foreach (string text in fact.Addresses)
        {
            if (NetAddress.TryParse(text, out NetAddress address))
            {
                Claim(step, address, at);
            }
        }
    }

    /// <summary>Asks for the bytes of steps that have just ended, while the kernel still remembers their flows.</summary>
    public void OnTick(Stamp at)
    {
        for (int i = _running.Count - 1; i >= 0; i--)
        {
            BuildStep step = _running[i];
            if (step.Ended is null)
            {
                Ask(step);
                continue;
            }

            _running.RemoveAt(i);
            if (step.Addresses.Count > 0 && step.Egress.Any())
            {
                state.Output.Ask(new FlowsLookup([.. step.Addresses.Select(static a => a.ToString())]));
            }
        }
    }

    /// <summary>The step that owned an address at a moment; null when none did, or when more than one may have.</summary>
    public BuildStep? StepAt(NetAddress address, Stamp at)
    {
        if (!_owners.TryGetValue(address, out List<BuildStep>? owners))
        {
            return null;
        }

        BuildStep? owner = null;
        foreach (BuildStep step in owners)
        {
            bool during = step.Started.Boot <= at.Boot && (step.Ended is not { } ended || at.Boot <= ended.Boot);
            bool justAfter = !during && step.Ended is { } end && at.Boot > end.Boot && at.Since(end) < Grace;
            if (during)
            {
                return step;
            }

            owner = justAfter ? step : owner;
        }

        // A record read just after the end, and nobody else has the address yet.
        return owner;
    }

    /// <summary>A packet or flow left an address that nobody is known to own.</summary>
    public void Unowned(NetAddress source, Destination destination, Stamp at)
    {
        bool wanting = false;
        foreach (BuildStep step in _running)
        {
            if (step.Ended is null && step.Addresses.Count == 0)
            {
                wanting = true;
                Ask(step);
            }
        }

        if (wanting && !state.Baseline.IsOwnAddress(source))
        {
            _unowned.Enqueue((source, destination, at));
            while (_unowned.Count > 512 || at.Since(_unowned.Peek().At) > FlowWindow)
            {
                _ = _unowned.Dequeue();
            }
        }
    }

    /// <summary>A step without an address attempted a destination: did exactly one unowned address reach it?</summary>
    public void Attempted(BuildStep step, Destination destination, Stamp at)
    {
        if (step.Addresses.Count > 0 || step.Network is StepNetwork.Host or StepNetwork.Isolated || _unowned.Count == 0)
        {
            return;
        }

        if (_running.Exists(s => !ReferenceEquals(s, step) && s.Addresses.Count == 0 && s.FindEgress(destination) is not null))
        {
            return;
        }

        NetAddress? only = null;
        foreach ((NetAddress source, Destination reached, Stamp seen) in _unowned)
        {
            if (reached == destination && at.Since(seen) <= FlowWindow && seen.Boot >= step.Started.Boot && StepAt(source, seen) is null)
            {
                if (only is { } other && other != source)
                {
                    return;
                }

                only = source;
            }
        }

        if (only is { } address)
        {
            Claim(step, address, at);
        }
    }

    // The step whose process the fact speaks of: by pid and start time, never by pid alone.
    private BuildStep? StepOf(ProcessNetworkFact fact)
    {
        const long StartTick = 50 * Stamp.Millisecond;
        ProcessNode? node = fact.StartBoot == 0 ? null : state.Tree.Find(fact.Pid);
        return node is null || Math.Abs(node.Started.Boot - fact.StartBoot) >= StartTick
            ? null
            : node.Scope switch
            {
                StepScope scope => scope.Step,
                ContainerScope scope => scope.Step,
                _ => null,
            };
    }

    // One question at a time, each about the next of the step's processes.
    private void Ask(BuildStep step)
    {
        if (step.Addresses.Count > 0 || step.NetworkAsked || step.NetworkPids.Count == 0 || step.NetworkAsks >= MaximumAsks
            || step.Network is StepNetwork.Host or StepNetwork.Isolated)
        {
            return;
        }

        int pid = step.NetworkPids[step.NetworkAsks % step.NetworkPids.Count];
        step.NetworkAsks++;
        step.NetworkAsked = true;
        _asked[pid] = step;
        state.Output.Ask(new ProcessNetworkLookup(pid));
    }

    private void Claim(BuildStep step, NetAddress address, Stamp at)
    {
        if (step.Addresses.Contains(address) || state.Baseline.IsOwnAddress(address))
        {
            return;
        }

        if (_claims >= MaximumClaims)
        {
            Forget();
        }

        if (!_owners.TryGetValue(address, out List<BuildStep>? owners))
        {
            _owners[address] = owners = [];
        }

        owners.Add(step);
        _claims++;
        step.Addresses.Add(address);
        Claimed?.Invoke(step, at);
    }

    // Steps that ended; the running ones are few.
    private void Forget()
    {
        foreach (NetAddress address in _owners.Keys.ToList())
        {
            _claims -= _owners[address].RemoveAll(static s => s.Ended is not null);
            if (_owners[address].Count == 0)
            {
                _ = _owners.Remove(address);
            }
        }
    }
}
