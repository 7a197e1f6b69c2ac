using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Builds;

/// <summary>Connects that returned before the other side had answered, and what connection tracking saw of flows lately.</summary>
/// <remarks>
/// A non-blocking connect(2) ends in EINPROGRESS and the caller learns the rest from poll(2), which no record tells.
/// A flow names no process: it settles a connect when exactly one step waits for that destination, and none otherwise.
/// </remarks>
internal sealed class OpenConnects
{
    private const int Capacity = 1024;

    /// <summary>The kernel itself gives a connect up after about two minutes (tcp_syn_retries).</summary>
    private const long Patience = 130 * Stamp.Second;

    // The answer can overtake the record of the call: connection tracking is not held for ordering, audit is.
    private const long Overtake = Stamp.Second;

    private readonly List<(BuildStep Step, Egress Egress)> _waiting = [];
    private readonly Queue<(Stamp At, Destination Destination, EgressOutcome Answer)> _recent = new();

    /// <summary>Waits for the answer to a connect; takes one that came before its record.</summary>
    public void Add(BuildStep step, Egress egress, long called)
    {
        foreach ((Stamp at, Destination destination, EgressOutcome answer) in _recent)
        {
            if (answer != EgressOutcome.None && destination == egress.Destination && at.Wall >= called)
            {
                egress.Settle(answer, at);
                return;
            }
        }

        if (_waiting.Count < Capacity && !_waiting.Exists(w => ReferenceEquals(w.Egress, egress)))
        {
            _waiting.Add((step, egress));
        }
    }

    /// <returns>The step whose connect is settled by this answer, or null.</returns>
    public BuildStep? Answer(in FlowSeen e)
    {
        Remember(e);
        int found = -1;
        for (int i = 0; i < _waiting.Count; i++)
        {
            if (_waiting[i].Egress.Destination == e.Destination)
            {
                if (found >= 0)
                {
                    return null;
                }

                found = i;
            }
        }

        if (found < 0)
        {
            return null;
        }

        (BuildStep step, Egress egress) = _waiting[found];
        _waiting.RemoveAt(found);
        if (egress.Outcome != EgressOutcome.InProgress)
        {
            return null;
        }

        egress.Settle(e.Answer, e.At);
        return step;
    }

    /// <summary>Keeps that a flow began, or what came of it, for the record of its call that is still to come.</summary>
    public void Remember(in FlowSeen e)
    {
        if (_recent.Count == Capacity)
        {
            _ = _recent.Dequeue();
        }

        _recent.Enqueue((e.At, e.Destination, e.Answer));
    }

    /// <returns>True when a flow to the destination began at or after a moment, wall clock.</returns>
    public bool HasBegun(Destination destination, long wall)
        => _recent.Any(f => f.Answer == EgressOutcome.None && f.Destination == destination && f.At.Wall >= wall);

    public void OnTick(Stamp at)
    {
        _ = _waiting.RemoveAll(w => w.Egress.Outcome != EgressOutcome.InProgress || at.Since(w.Egress.Last) > Patience);
        while (_recent.TryPeek(out var oldest) && at.Since(oldest.At) > Overtake)
        {
            _ = _recent.Dequeue();
        }
    }
}
