using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Indicators;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Names;
using ImageSentinel.Detection.Processes;
using ImageSentinel.Detection.Text;

namespace ImageSentinel.Detection.Builds;

/// <summary>Ties egress attempts to steps by the caller's lineage, and lets ordinary traffic teach the baseline.</summary>
internal sealed class EgressTracker(
    CoreState state, EgressJudge judge, DaemonFetchTracker fetches, NameTracker names, StepAddresses addresses)
{
    private const int MaximumPending = 64;

    /// <summary>An address that was set on a datagram socket counts as egress when nobody can say whether a packet left.</summary>
    private const long FlowPatience = 2 * Stamp.Second;

    // While the agent starts, a record may come before the process table is read: whose it is, is not known yet.
    private const int MaximumEarly = 4096;

    /// <summary>An ancestor's program may become known this much later than its child's connect.</summary>
    private const long SnapshotAge = 100 * Stamp.Millisecond;
    private readonly List<(BuildStep Step, Egress Egress)> _addressOnly = [];
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
        if (state.IsOurs(node))
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
                judge.Changed(build, e.At);
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

        _open.Remember(e);
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
                judge.Judge(step, egress, e.At);
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
                judge.Judge(step, egress, at);
            }
        }
    }

    public void OnTick(Stamp at)
    {
        _open.OnTick(at);
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
                judge.Judge(step, egress, at);
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

        // The first packet can overtake the record of the call that set its address.
        bool only = attempt.AddressOnly && !_open.HasBegun(attempt.Destination, attempt.At.Wall);
        if (only && (first || egress.AddressOnly))
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
            judge.Judge(step, egress, at);
        }
        else if (egress.Outcome != before && step.Build is { } build)
        {
            judge.Changed(build, at);
        }
    }
}
