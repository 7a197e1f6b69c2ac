using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Names;

namespace ImageSentinel.Detection.Flows;

/// <summary>The second witness: what connection tracking saw leave a step's own address, whatever call sent it.</summary>
/// <remarks>
/// Gives bytes and duration to what was attempted, and finds what was not: a flow that no record explains took a way on
/// which system calls are not seen. Counts only for a step whose address is proven; on the host's own network a flow
/// names nobody.
/// </remarks>
internal sealed class FlowLedger(CoreState state, StepAddresses addresses)
{
    private const int MaximumFlows = 8192;
    private const int MaximumUnclaimed = 1024;

    /// <summary>A record is held back, queued and read after its flow; a call that is answered has returned by then.</summary>
    private const long RecordPatience = 2 * Stamp.Second;

    private const long UnclaimedWindow = 5 * Stamp.Second;

    private readonly Dictionary<FlowKey, Flow> _flows = [];
    private readonly List<Flow> _unexplained = [];
    private readonly Queue<Flow> _unclaimed = new();

    /// <summary>Raised when a flow of a step is explained by no attempt.</summary>
    public Action<BuildStep, Egress, Stamp>? Unexplained { get; set; }

    /// <summary>Raised when the counts of a destination changed.</summary>
    public Action<BuildStep, Stamp>? Counted { get; set; }

    public void On(in FlowSeen e)
    {
        var key = new FlowKey(e.Source, e.SourcePort, e.Destination);
        if (!_flows.TryGetValue(key, out Flow? flow))
        {
            if (e is { Ended: false, Closing: false, Answer: EgressOutcome.None })
            {
                Begin(new Flow(key, e.At), e.At);
            }

            return;
        }

        if (e.Answer != EgressOutcome.None)
        {
            flow.Answer = e.Answer == EgressOutcome.Established || flow.Answer == EgressOutcome.None ? e.Answer : flow.Answer;
            flow.Answered ??= e.At;
        }

        if (e.Closing)
        {
            flow.Closed ??= e.At;
            Count(flow, e.At);
        }

        if (e.Ended)
        {
            _ = _flows.Remove(key);
            if (e.HasBytes)
            {
                (flow.Sent, flow.Received) = (e.BytesSent, e.BytesReceived);
            }

            Count(flow, e.At);
        }
    }

    /// <summary>Counters of flows that are still tracked, read when a step ended.</summary>
    public void Learn(FlowsFact fact, Stamp at)
    {
        foreach (FlowCount count in fact.Flows)
        {
            if (NetAddress.TryParse(count.Source, out NetAddress source) && NetAddress.TryParse(count.Destination, out NetAddress destination)
                && _flows.TryGetValue(new FlowKey(source, count.SourcePort, new Destination(destination, count.DestinationPort, (EgressProtocol)count.Protocol)), out Flow? flow))
            {
                (flow.Sent, flow.Received) = (Math.Max(flow.Sent, count.Sent), Math.Max(flow.Received, count.Received));
                Count(flow, at);
            }
        }
    }

    /// <summary>An address became a step's: flows that it made before are that step's too.</summary>
    public void Claimed(Stamp at)
    {
        for (int i = _unclaimed.Count; i > 0; i--)
        {
            Flow flow = _unclaimed.Dequeue();
            if (addresses.StepAt(flow.Key.Source, flow.Began) is { } step)
            {
                Take(flow, step, at);
            }
            else if (at.Since(flow.Began) < UnclaimedWindow)
            {
                _unclaimed.Enqueue(flow);
            }
        }
    }

    public void OnTick(Stamp at)
    {
        for (int i = _unexplained.Count - 1; i >= 0; i--)
        {
            Flow flow = _unexplained[i];
            BuildStep step = flow.Step!;
            if (Explanation(step, flow.Key.Destination) is { } egress)
            {
                flow.Egress = egress;
                _unexplained.RemoveAt(i);
                Count(flow, at);
            }
            else if (IsDue(flow, step, at))
            {
                _unexplained.RemoveAt(i);
                Tell(flow, step, at);
            }
        }
    }

    // A blocking connect's record comes when the call returns, which an unanswered one does minutes later or never; a
    // datagram's comes at once.
    private static bool IsDue(Flow flow, BuildStep step, Stamp at)
    {
        Stamp since = flow.Taken;
        if (flow.Key.Destination.Protocol == EgressProtocol.Tcp)
        {
            if (flow.Answered is { } answered)
            {
                since = answered.Boot > since.Boot ? answered : since;
            }
            else if (step.Ended is { } ended)
            {
                since = ended.Boot > since.Boot ? ended : since;
            }
            else
            {
                return false;
            }
        }

        return at.Since(since) > RecordPatience;
    }

    private static Egress? Explanation(BuildStep step, Destination destination)
    {
        if (step.FindEgress(destination) is { } exact)
        {
            return exact;
        }

        // A raw socket's attempt names no port, and an echo request has none.
        return step.Egress.FirstOrDefault(e => e.Destination.Address == destination.Address
            && (e.Destination.Protocol is EgressProtocol.Raw or EgressProtocol.Packet or EgressProtocol.Unknown or EgressProtocol.Icmp
                || destination.Protocol is not (EgressProtocol.Tcp or EgressProtocol.Udp)));
    }

    private void Begin(Flow flow, Stamp at)
    {
        if (addresses.StepAt(flow.Key.Source, at) is { } step)
        {
            Take(flow, step, at);
            return;
        }

        if (_unclaimed.Count >= MaximumUnclaimed)
        {
            _ = _unclaimed.Dequeue();
        }

        _unclaimed.Enqueue(flow);
    }

    private void Take(Flow flow, BuildStep step, Stamp at)
    {
        if (_flows.Count >= MaximumFlows || state.Baseline.IsNoise(flow.Key.Destination, out _))
        {
            return;
        }

        flow.Step = step;
        state.FlowsProven = true;
        flow.Taken = at;
        _flows[flow.Key] = flow;
        _unexplained.Add(flow);
    }

    private void Tell(Flow flow, BuildStep step, Stamp at)
    {
        // The engine's own resolver asks from within a step's namespace; and what is known beyond the step's list was attempted.
        Destination destination = flow.Key.Destination;
        if (step.Ended is { } ended && flow.Began.Boot >= ended.Boot)
        {
            // The engine gives a step's address to the next container at once.
            return;
        }

        if ((destination.Port == 53 && state.Baseline.IsResolver(destination.Address))
            || (step.EgressBeyond > 0 && state.Baseline.Judge(destination, at.Time).Novelty == Novelty.Known))
        {
            return;
        }

        var egress = new Egress(destination, flow.Began) { Path = EgressPath.FlowOnly };
        EgressOutcome outcome = flow.Answer != EgressOutcome.None ? flow.Answer
            : destination.Protocol == EgressProtocol.Tcp ? EgressOutcome.InProgress : EgressOutcome.Sent;
        egress.Add(outcome, 0, flow.Began);
        if (state.Keep(step, egress, at))
        {
            flow.Egress = egress;
            Count(flow, at);
            Unexplained?.Invoke(step, egress, at);
        }
    }

    // Several flows of a step to one destination add up; each counts with its latest state.
    private void Count(Flow flow, Stamp at)
    {
        if (flow.Step is not { } step || (flow.Egress ??= Explanation(step, flow.Key.Destination)) is not { } egress)
        {
            return;
        }

        bool changed = flow.Sent != flow.SentTold || flow.Received != flow.ReceivedTold;
        egress.BytesSent += flow.Sent - flow.SentTold;
        egress.BytesReceived += flow.Received - flow.ReceivedTold;
        (flow.SentTold, flow.ReceivedTold) = (flow.Sent, flow.Received);
        if (flow.Closed is { } closed && closed.Since(flow.Began) > egress.Duration)
        {
            egress.Duration = closed.Since(flow.Began);
            changed = true;
        }

        if (changed)
        {
            Counted?.Invoke(step, at);
        }
    }

    private readonly record struct FlowKey(NetAddress Source, ushort SourcePort, Destination Destination);

    private sealed class Flow(FlowKey key, Stamp began)
    {
        public FlowKey Key { get; } = key;

        public Stamp Began { get; } = began;

        public Stamp Taken { get; set; } = began;

        public BuildStep? Step { get; set; }

        public Egress? Egress { get; set; }

        public EgressOutcome Answer { get; set; }

        public Stamp? Answered { get; set; }

        public Stamp? Closed { get; set; }

        public ulong Sent { get; set; }

        public ulong Received { get; set; }

        public ulong SentTold { get; set; }

        public ulong ReceivedTold { get; set; }
    }
}
