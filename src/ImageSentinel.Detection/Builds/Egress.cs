using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;
using ImageSentinel.Detection.Text;

namespace ImageSentinel.Detection.Builds;

/// <summary>All attempts of one step (or daemon fetch) to one destination, folded into one entry.</summary>
public sealed class Egress(Destination destination, Stamp first)
{
    private const int MaximumNames = 8;

    private readonly List<EgressName> _names = [];

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

    /// <summary>The indicator that lists it, with its source; empty when none does.</summary>
    public string Indicator { get; internal set; } = "";

    public ProcessSnapshot? Process { get; internal set; }

    /// <summary>Nanoseconds from the first packet to the first sign of closing; the longest of several connections. 0: not known.</summary>
    public long Duration { get; internal set; }

    public ulong BytesSent { get; internal set; }

    public ulong BytesReceived { get; internal set; }

    /// <summary>Names that stand for this destination, as the step's own packets say; first seen first.</summary>
    public IReadOnlyList<EgressName> Names => _names;

    /// <summary>Where it went, with the names seen for it: <c>203.0.113.66:80/tcp (evil.example)</c>.</summary>
    public string Label => _names.Count == 0
        ? Destination.ToString()
        : $"{Destination} ({string.Join(", ", _names.Select(static n => SafeText.Display(n.Name, 120)).Distinct().Take(3))})";

    /// <summary>True while only an address was set on a datagram socket: not egress until a packet is seen.</summary>
    public bool AddressOnly { get; internal set; }

    /// <returns>True when the name is new to this destination.</returns>
    internal bool Add(EgressName name)
    {
        if (_names.Count >= MaximumNames || _names.Contains(name))
        {
            return false;
        }

        _names.Add(name);
        return true;
    }

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

/// <summary>A name for a destination, and whose word it is.</summary>
public readonly record struct EgressName(string Name, NameSource Source);
