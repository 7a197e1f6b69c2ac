using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Builds;

/// <summary>All attempts of one step (or daemon fetch) to one destination, folded into one entry.</summary>
public sealed class Egress(Destination destination, Stamp first)
{
    public Destination Destination { get; internal set; } = destination;

    public Stamp First { get; } = first;

    public Stamp Last { get; internal set; } = first;

    public int Attempts { get; internal set; }

    /// <summary>The best outcome so far: one attempt that got through outweighs ten that failed.</summary>
    public EgressOutcome Outcome { get; internal set; }

    public int Errno { get; internal set; }

    public EgressPath Path { get; internal set; }

    public Novelty Novelty { get; internal set; }

    public string Reason { get; internal set; } = "";

    public ProcessSnapshot? Process { get; internal set; }

    public ulong BytesSent { get; internal set; }

    public ulong BytesReceived { get; internal set; }

    /// <summary>True while only an address was set on a datagram socket: not egress until a packet is seen.</summary>
    public bool AddressOnly { get; internal set; }

    internal void Add(EgressOutcome outcome, int errno, Stamp at)
    {
        Attempts++;
        Last = at;
        if (Rank(outcome) > Rank(Outcome))
        {
            Outcome = outcome;
            Errno = errno;
        }
    }

    /// <summary>An attempt that was under way has its answer.</summary>
    internal void Settle(EgressOutcome outcome, Stamp at)
    {
        Outcome = outcome;
        Errno = 0;
        Last = at;
    }

    private static int Rank(EgressOutcome outcome) => outcome switch
    {
        EgressOutcome.Established => 9,
        EgressOutcome.Sent => 8,
        EgressOutcome.InProgress => 7,
        EgressOutcome.Refused => 5,
        EgressOutcome.Unreachable => 4,
        EgressOutcome.TimedOut => 3,
        EgressOutcome.Interrupted => 2,
        EgressOutcome.Failed => 1,
        _ => 0,
    };
}
