using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Indicators;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Names;
using ImageSentinel.Detection.Processes;
using ImageSentinel.Detection.Text;

namespace ImageSentinel.Detection.Builds;

/// <summary>Ties egress attempts to steps by the caller's lineage, judges them, and lets ordinary traffic teach the baseline.</summary>
internal sealed class EgressTracker(
    CoreState state,
    NeverSeenEgressDetector detector,
    EgressBehaviourDetector behaviour,
    DaemonFetchTracker fetches,
    NameTracker names,
    StepAddresses addresses,
    IndicatorDetector indicators)
{
    private const int MaximumPending = 64;

    /// <summary>An address that was set on a datagram socket counts as egress when nobody can say whether a packet left.</summary>
    private const long FlowPatience = 2 * Stamp.Second;

    // While the agent starts, a record may come before the process table is read: whose it is, is not known yet.
    private const int MaximumEarly = 4096;

    /// <summary>How long a destination that a name may explain waits for the proof of whose address asked.</summary>
    private const long NamePatience = 400 * Stamp.Millisecond;

    /// <summary>An ancestor's program may become known this much later than its child's connect.</summary>
    private const long SnapshotAge = 100 * Stamp.Millisecond;
    /// <summary>How long it waits once that is proven: the packet of the answer and the record of the call race.</summary>
    private const long AnswerPatience = 150 * Stamp.Millisecond;

    private readonly List<(BuildStep Step, Egress Egress)> _addressOnly = [];
    private readonly List<(BuildStep Step, Egress Egress, Stamp Since)> _unnamed = [];
    private readonly List<(ProcessNode Node, PendingEgress Attempt)> _early = [];
    private readonly OpenConnects _open = new();
    private ProcessSnapshot? _snapshot;
    private ProcessNode? _snapshotOf;
    private int _snapshotVersion;
    private Stamp _snapshotAt;

    // Connection tracking may be on and still not see the engine's bridge (no rule there needs it). Only a flow that
    // matches an attempt proves that the absence of one means something.
    private bool _flowsProven;
    private Destination _lastStepDestination;

    /// <summary>Asked about every attempt of an ordinary container; true when its image's build was not clean.</summary>
    internal Func<ContainerScope, PendingEgress, Stamp, bool>? OfDeployment { get; set; }

    public void On(in EgressAttempted e)
    {
        ProcessNode node = state.Tree.Resolve(e.Caller, e.At, e.CallWall);
        if (node.Key.Pid == state.Host?.AgentPid)
        {
            return;
        }

        if (node.Scope is not null)
        {
            Route(node, Capture(e, node), e.At);
        }
        else if (state.Ready is null && _early.Count < MaximumEarly)
        {
            _early.Add((node, Capture(e, node)));
        }
        else if (!e.AddressOnly)
        {
            state.Baseline.Learn(e.Destination, e.At, names.OfHost(e.Destination.Address, e.At));
        }
    }

    public void On(in FlowSeen e)
    {
        if (e.Answer != EgressOutcome.None)
        {
            if (_open.Answer(e) is { Build: { } build })
            {
                Changed(build, e.At);
            }

            return;
        }

        if (e.Ended)
        {
            return;
        }

        if (addresses.StepAt(e.Source, e.At) is null)
        {
            addresses.Unowned(e.Source, e.Destination, e.At);
        }

        _flowsProven |= e.Destination == _lastStepDestination;
        if (_addressOnly.Count == 0)
        {
            return;
        }

        for (int i = _addressOnly.Count - 1; i >= 0; i--)
        {
            (BuildStep step, Egress egress) = _addressOnly[i];
            if (egress.Destination == e.Destination)
            {
                _addressOnly.RemoveAt(i);
                egress.AddressOnly = false;
                Judge(step, egress, e.At);
            }
        }
    }

    /// <summary>What ran before the agent is known now: the attempts that waited for it go where they belong.</summary>
    public void OnReady(Stamp at)
    {
        foreach ((ProcessNode node, PendingEgress attempt) in _early)
        {
            Route(node, attempt, at);
        }

        _early.Clear();
    }

    /// <summary>A container turned out to be a step, or not: what it tried before is now judged or learned.</summary>
    public void Settle(ContainerScope scope, Stamp at)
    {
        if (scope is { Step: { } known, LastPid: > 0 })
        {
            addresses.Met(known, scope.LastPid);
        }

        foreach (PendingEgress pending in scope.Pending)
        {
            if (scope.Step is { } step)
            {
                Attempt(step, pending, at);
            }
            else
            {
                OfContainer(scope, pending, at);
            }
        }

        scope.Pending.Clear();
    }

    /// <summary>A step found its build.</summary>
    public void Placed(BuildStep step, Stamp at)
    {
        foreach (Egress egress in step.Egress)
        {
            if (egress.Novelty == Novelty.None && !egress.AddressOnly)
            {
                Judge(step, egress, at);
            }
        }
    }

    /// <summary>A step's address became known: names seen for it belong to what it did.</summary>
    public void Located(BuildStep step, Stamp at)
    {
        OnUnnamed(at);
        foreach (Egress egress in step.Egress)
        {
            int before = egress.Names.Count;
            _ = names.Join(step, egress, at);
            if (egress.Names.Count != before)
            {
                indicators.Judge(step, egress, at);
                JudgeProxied(step, egress, at);
                Retell(step, at);
            }
        }
    }

    /// <summary>A destination got a name after it was judged.</summary>
    public void Named(BuildStep step, Egress egress, EgressName name, Stamp at)
    {
        OnUnnamed(at);
        indicators.Judge(step, egress, at);
        JudgeProxied(step, egress, at);
        Retell(step, at);
    }

    private void JudgeProxied(BuildStep step, Egress egress, Stamp at)
    {
        foreach (EgressName name in egress.Names)
        {
            if (name.Source == NameSource.Connect)
            {
                JudgeProxied(step, egress, name.Name, at);
            }
        }
    }

    // The proxy resolves and connects: what it is asked for is the destination, and the client cannot misname it.
    private void JudgeProxied(BuildStep step, Egress egress, string asked, Stamp at)
    {
        if (egress.Novelty != Novelty.Known || step.Build is not { } build)
        {
            return;
        }

        string host = NameClasses.HostOf(asked);
        ushort port = ushort.TryParse(asked.AsSpan(Math.Min(asked.Length, host.Length + 1)), System.Globalization.CultureInfo.InvariantCulture, out ushort named) ? named : (ushort)80;
        bool literal = NetAddress.TryParse(host.Trim('[', ']'), out NetAddress address);
        var destination = new Destination(address, port, EgressProtocol.Tcp);
        Judgement judgement = state.Baseline.Judge(destination, at.Time, literal ? [] : [host]);
        if (state.Baseline.IsLearning(at.Time) && MayTeach(build))
        {
            state.Baseline.Names.Learn(host, destination, (uint)Math.Clamp(at.Wall / Stamp.Second, 0, uint.MaxValue));
        }

        if (judgement.Novelty != Novelty.Known)
        {
            egress.Novelty = judgement.Novelty;
            egress.Reason = $"the proxy there is known, and was asked to reach {SafeText.Display(asked, 200)}: {judgement.Reason}";
            detector.Judge(step, egress, addressKnown: false, at);
        }
    }

    /// <summary>A flow left a step's address by no call that was recorded.</summary>
    public void Unexplained(BuildStep step, Egress egress, Stamp at) => Judge(step, egress, at, final: true);

    /// <summary>Bytes or duration of a destination changed.</summary>
    public static void Counted(BuildStep step, Stamp at)
    {
        if (step.Build is { } build)
        {
            build.Dirty = true;
        }
    }

    private void Retell(BuildStep step, Stamp at)
    {
        if (step.Build is { } build)
        {
            Changed(build, at);
        }
    }

    private void OnUnnamed(Stamp at)
    {
        for (int i = _unnamed.Count - 1; i >= 0; i--)
        {
            (BuildStep step, Egress egress, Stamp since) = _unnamed[i];
            bool known = state.Baseline.Judge(egress.Destination, at.Time, names.Join(step, egress, at)).Novelty == Novelty.Known;
            if (known || at.Since(since) > (step.Addresses.Count > 0 ? AnswerPatience : NamePatience))
            {
                _unnamed.RemoveAt(i);
                Judge(step, egress, at, final: true);
            }
        }
    }

    public void OnTick(Stamp at)
    {
        _open.OnTick(at);
        OnUnnamed(at);
        if (_addressOnly.Count == 0)
        {
            return;
        }

        bool tracking = state.Sensors.TryGetValue("conntrack", out SensorFact? conntrack) && conntrack.Health == "active";
        for (int i = _addressOnly.Count - 1; i >= 0; i--)
        {
            (BuildStep step, Egress egress) = _addressOnly[i];
            if (at.Since(egress.First) < FlowPatience)
            {
                continue;
            }

            _addressOnly.RemoveAt(i);
            if (tracking && (_flowsProven || state.FlowsProven))
            {
                // Set for address selection only: no flow came of it.
                step.RemoveEgress(egress.Destination);
            }
            else
            {
                egress.AddressOnly = false;
                Judge(step, egress, at);
            }
        }
    }

    private void Route(ProcessNode node, PendingEgress attempt, Stamp at)
    {
        switch (node.Scope)
        {
            case StepScope scope:
                Attempt(scope.Step, attempt, at);
                break;
            case ContainerScope { Step: { } step }:
                Attempt(step, attempt, at);
                break;
            case ContainerScope { Settled: true } scope:
                OfContainer(scope, attempt, at);
                break;
            case ContainerScope scope:
                if (scope.Pending.Count < MaximumPending)
                {
                    scope.Pending.Add(attempt);
                }

                break;
            case BuilderScope builder:
                fetches.OfBuilder(builder.Build, attempt, at);
                break;
            case EngineScope engine:
                fetches.On(engine.Engine, attempt, at);
                break;
            case null when !attempt.AddressOnly:
                state.Baseline.Learn(attempt.Destination, at, names.OfHost(attempt.Destination.Address, at));
                break;
        }
    }

    // An ordinary container's traffic is the host's ordinary traffic; what it was first to reach is remembered with it.
    private void OfContainer(ContainerScope scope, PendingEgress attempt, Stamp at)
    {
        if (attempt.AddressOnly || state.Baseline.IsNoise(attempt.Destination, out _))
        {
            return;
        }

        Judgement judgement = state.Baseline.Judge(attempt.Destination, at.Time);
        if (judgement.Novelty != Novelty.Known && scope.NewEgress.Count < 32 && !scope.NewEgress.Exists(e => e.Destination == attempt.Destination))
        {
            var egress = new Egress(attempt.Destination, attempt.At)
            {
                Process = attempt.Process,
                Path = attempt.Path,
                Novelty = judgement.Novelty,
                Reason = judgement.Reason,
            };
            egress.Add(attempt.Outcome, attempt.Errno, attempt.At);
            scope.NewEgress.Add(egress);
        }

        // Nobody learns what is normal from a container that should not be there.
        if (OfDeployment?.Invoke(scope, attempt, at) != true)
        {
            state.Baseline.LearnFromContainer(attempt.Destination, at);
        }
    }

    private PendingEgress Capture(in EgressAttempted e, ProcessNode node) => new(
        new Stamp(e.At.Boot, e.CallWall),
        Snapshot(node, e.At),
        e.Destination,
        e.Path,
        e.Outcome,
        e.Errno,
        e.AddressOnly);

    // A process that knocks a thousand times a second is described once in a while, not a thousand times.
    private ProcessSnapshot Snapshot(ProcessNode node, Stamp at)
    {
        if (_snapshot is not { } snapshot || !ReferenceEquals(_snapshotOf, node) || _snapshotVersion != node.Version
            || at.Since(_snapshotAt) > SnapshotAge)
        {
            (_snapshotOf, _snapshotVersion, _snapshotAt) = (node, node.Version, at);
            _snapshot = snapshot = ProcessSnapshot.Of(node);
        }

        return snapshot;
    }

    private void Attempt(BuildStep step, PendingEgress attempt, Stamp at)
    {
        if (state.Baseline.IsNoise(attempt.Destination, out _))
        {
            return;
        }

        _lastStepDestination = attempt.AddressOnly ? _lastStepDestination : attempt.Destination;
        Egress? egress = step.FindEgress(attempt.Destination);
        bool first = egress is null;
        egress ??= new Egress(attempt.Destination, attempt.At) { Process = attempt.Process, Path = attempt.Path, AddressOnly = attempt.AddressOnly };
        EgressOutcome before = egress.Outcome;
        egress.Add(attempt.Outcome, attempt.Errno, attempt.At);
        if (first && !state.Keep(step, egress, at))
        {
            return;
        }

        addresses.Attempted(step, attempt.Destination, at);

        if (attempt.AddressOnly && (first || egress.AddressOnly))
        {
            if (first)
            {
                _addressOnly.Add((step, egress));
            }

            return;
        }

        if (egress.AddressOnly)
        {
            egress.AddressOnly = false;
            _ = _addressOnly.RemoveAll(p => ReferenceEquals(p.Egress, egress));
        }

        if (egress.Outcome == EgressOutcome.InProgress && attempt.Outcome == EgressOutcome.InProgress)
        {
            _open.Add(step, egress, attempt.At.Wall);
        }

        if (egress.Novelty == Novelty.None)
        {
            Judge(step, egress, at);
        }
        else if (egress.Outcome != before && step.Build is { } build)
        {
            Changed(build, at);
        }
    }

    private void Changed(Build build, Stamp at)
    {
        detector.Refresh(build, at);
        BuildRegistry.Touch(build, at);
    }

    private void Judge(BuildStep step, Egress egress, Stamp at, bool final = false)
    {
        if (step.Build is not { } build || (final && egress.Novelty != Novelty.None))
        {
            return;
        }

        IReadOnlyList<string> proven = names.Join(step, egress, at);
        Judgement judgement = state.Baseline.Judge(egress.Destination, at.Time, proven);
        if (!final && judgement.Novelty != Novelty.Known && MayBeNamed(step))
        {
            if (!_unnamed.Exists(u => ReferenceEquals(u.Egress, egress)))
            {
                _unnamed.Add((step, egress, at));
            }

            return;
        }

        egress.Novelty = judgement.Novelty;
        egress.Reason = judgement.Reason;
        detector.Judge(step, egress, judgement.AddressKnown, at);
        JudgeProxied(step, egress, at);
        indicators.Judge(step, egress, at);

        // Where records were lost, a flow without one says nothing about the way it took.
        if (egress.Path != EgressPath.FlowOnly || (build.Lost == 0 && !build.Blind))
        {
            behaviour.Judge(step, egress, at);
        }

        if (state.Baseline.IsLearning(at.Time) && MayTeach(build))
        {
            state.Baseline.Learn(egress.Destination, at, proven);
        }

        BuildRegistry.Touch(build, at);
    }

    // A name could make this known, and its answer or the proof of who asked may be a moment behind.
    private bool MayBeNamed(BuildStep step)
        => state.Baseline.KnowsNames && step.Network is not (StepNetwork.Host or StepNetwork.Isolated)
        && state.Sensors.TryGetValue("names", out SensorFact? sensor) && sensor.Health == "active";

    // While it learns, a host believes its own builds; where the operator named who may build, only theirs.
    private bool MayTeach(Build build) => state.Policy.TrustedClients.Count == 0 || Clients.Trust.IsTrusted(build, state);
}
