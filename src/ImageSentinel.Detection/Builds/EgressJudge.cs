using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Indicators;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Names;
using ImageSentinel.Detection.Text;

namespace ImageSentinel.Detection.Builds;

/// <summary>Holds a step's destination against the baseline, its names and the feeds, and tells the detectors.</summary>
internal sealed class EgressJudge(
    CoreState state, NeverSeenEgressDetector detector, EgressBehaviourDetector behaviour, NameTracker names, IndicatorDetector indicators)
{
    /// <summary>How long a destination that a name may explain waits for the proof of whose address asked.</summary>
    private const long NamePatience = 400 * Stamp.Millisecond;

    /// <summary>How long it waits once that is proven: the packet of the answer and the record of the call race.</summary>
    private const long AnswerPatience = 150 * Stamp.Millisecond;

    private readonly List<(BuildStep Step, Egress Egress, Stamp Since)> _unnamed = [];

    /// <summary>A step's address became known: names seen for it belong to what it did.</summary>
    public void Located(BuildStep step, Stamp at)
    {
        OnTick(at);
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
        OnTick(at);
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

    /// <summary>What waited for a name has it now, or waited long enough.</summary>
    public void OnTick(Stamp at)
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

    /// <summary>What a finding says of a destination is no longer so.</summary>
    public void Changed(Build build, Stamp at)
    {
        detector.Refresh(build, at);
        BuildRegistry.Touch(build, at);
    }

    /// <summary>Judges a destination once; one that a name may make known waits for it, unless this is <paramref name="final"/>.</summary>
    public void Judge(BuildStep step, Egress egress, Stamp at, bool final = false)
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
