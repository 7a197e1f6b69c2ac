using System.Globalization;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Baseline;

/// <summary>A destination that the configuration or an operator allows.</summary>
/// <param name="Source">"configured" or "approved".</param>
public sealed record AllowedDestination(DestinationPattern Pattern, string Source, string Reason, DateTimeOffset? Expires);

/// <summary>How new a destination is, and why.</summary>
/// <param name="AddressKnown">The address was seen before, on another port.</param>
public readonly record struct Judgement(Novelty Novelty, string Reason, bool AddressKnown);

/// <summary>When the baseline learns and from when on it judges.</summary>
/// <param name="Learning">False: enforcing from the start.</param>
/// <param name="LearningSince">When this host's baseline began.</param>
/// <param name="EnforcingFrom">When learning ends by itself.</param>
public sealed record BaselineMode(bool Learning, DateTimeOffset LearningSince, DateTimeOffset EnforcingFrom);

/// <summary>What one host has ever talked to, and what it may.</summary>
public sealed class DestinationBaseline(BaselineMode mode)
{
    /// <summary>How long a destination that only containers have reached stays new to a host that enforces.</summary>
    /// <remarks>Who can ask for a build can start a container: it must not prepare the build's destination a minute before.</remarks>
    public static readonly TimeSpan TrialPeriod = TimeSpan.FromHours(24);

    private static readonly NetAddress Loopback4 = NetAddress.FromIPv4(0x7F00_0001);
    private static readonly NetAddress Loopback6 = new(0, 1);

    private readonly List<AllowedDestination> _allowed = [];
    private readonly HashSet<NetAddress> _resolvers = [];
    private readonly HashSet<NetAddress> _own = [];

    public DestinationTable Seen { get; } = new();

    public BaselineMode Mode { get; internal set; } = mode;

    public IReadOnlyList<AllowedDestination> Allowed => _allowed;

    /// <summary>Set by the edge, which makes what is learned durable. Called on the core's thread.</summary>
    public Action<Destination, uint, bool>? Learned { get; set; }

    /// <summary>Set by the edge: an operator's decision to make durable.</summary>
    public Action<AllowedDestination>? Approved { get; set; }

    /// <summary>Set by the edge: an operator's decision to make durable.</summary>
    public Action<DestinationPattern>? Forgotten { get; set; }

    public bool IsLearning(DateTimeOffset now) => Mode.Learning && now < Mode.EnforcingFrom;

    public void Allow(AllowedDestination allowed) => _allowed.Add(allowed);

    /// <summary>Replaces what the configuration allows; approvals stay.</summary>
    public void Configure(IReadOnlyList<AllowedDestination> allowed)
    {
        _ = _allowed.RemoveAll(static a => a.Source == "configured");
        _allowed.AddRange(allowed);
    }

    public void KnowResolver(NetAddress address) => _resolvers.Add(address);

    public void KnowOwnAddress(NetAddress address) => _own.Add(address);

    /// <summary>Addresses of this host, loopback first.</summary>
    public IEnumerable<NetAddress> OwnAddresses => _own.Prepend(Loopback6).Prepend(Loopback4);

    public bool IsOwnAddress(NetAddress address) => _own.Contains(address);

    public bool IsResolver(NetAddress address) => _resolvers.Contains(address);

    /// <summary>True for what is never a destination: this host, its links, its neighbours' chatter, no address at all.</summary>
    public bool IsNoise(Destination destination, out string reason)
    {
        reason = NoiseOf(destination.Address);
        if (reason.Length == 0 && destination.Port == 0 && destination.Protocol is EgressProtocol.Tcp or EgressProtocol.Udp)
        {
            reason = "port 0: no packet can leave";
        }

        if (reason.Length == 0 && _own.Contains(destination.Address))
        {
            reason = "an address of this host";
        }

        return reason.Length > 0;
    }

    /// <summary>True when a name could make a destination known.</summary>
    public bool KnowsNames => Names.Count > 0 || _allowed.Exists(static a => a.Pattern.Name.Length > 0);

    /// <summary>Names that were reached before.</summary>
    public KnownNames Names { get; } = new();

    /// <param name="destination">Where something went.</param>
    /// <param name="now">For entries that expire.</param>
    /// <param name="names">Names that a configured resolver itself gave the asker for this address; nobody else's word.</param>
    public Judgement Judge(Destination destination, DateTimeOffset now, IReadOnlyList<string>? names = null)
    {
        names ??= [];
        foreach (AllowedDestination allowed in _allowed)
        {
            string name = "";
            if ((allowed.Pattern.Matches(destination) || allowed.Pattern.MatchesName(names, destination, out name))
                && (allowed.Expires is null || now < allowed.Expires))
            {
                string why = allowed.Reason.Length > 0 ? $": {allowed.Reason}" : "";
                string by = name.Length > 0 && name != allowed.Pattern.Text ? $" by its name {name}" : "";
                return new Judgement(Novelty.Known, $"{allowed.Source} as {allowed.Pattern.Text}{by}{why}", true);
            }
        }

        if (destination.Port == 53 && _resolvers.Contains(destination.Address))
        {
            return new Judgement(Novelty.Known, "a DNS server this host or its engine is configured with", true);
        }

        string since = string.Create(CultureInfo.InvariantCulture, $"{Mode.LearningSince:yyyy-MM-dd HH:mm}Z");
        bool found = Seen.TryFind(destination, out SeenDestination seen, out bool addressKnown);
        if ((!found || seen.OnTrial) && Names.Find(names, destination) is { } known)
        {
            return new Judgement(Novelty.Known, $"a new address of {known}, a name reached before on this port", true);
        }

        if (found && seen.OnTrial && !IsLearning(now) && now - DateTimeOffset.FromUnixTimeSeconds(seen.FirstSeen) < TrialPeriod)
        {
            return new Judgement(
                Novelty.NeverSeen,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"never seen before {DateTimeOffset.FromUnixTimeSeconds(seen.FirstSeen):yyyy-MM-dd HH:mm:ss}Z, when a container on this host reached it, which makes it known only after {TrialPeriod.TotalHours:0} hours; watching since {since}"),
                addressKnown);
        }

        if (found)
        {
            string times = seen.Count == 0
                ? "address seen on many ports"
                : string.Create(
                    CultureInfo.InvariantCulture,
                    $"seen {seen.Count} times since {DateTimeOffset.FromUnixTimeSeconds(seen.FirstSeen):yyyy-MM-dd HH:mm:ss}Z");
            return new Judgement(Novelty.Known, times, true);
        }

        string port = addressKnown ? "; the address is known, on another port" : "";
        return IsLearning(now)
            ? new Judgement(Novelty.Learning, $"never seen before on this host, which has been learning since {since}{port}", addressKnown)
            : new Judgement(Novelty.NeverSeen, $"never seen before on this host, which has been watching since {since}{port}", addressKnown);
    }

    /// <summary>Remembers a destination of the host's ordinary traffic, or of a build that may teach.</summary>
    /// <param name="destination">Where something went.</param>
    /// <param name="at">When.</param>
    /// <param name="names">Names that a configured resolver gave for it.</param>
    public void Learn(Destination destination, Stamp at, IReadOnlyList<string>? names = null)
    {
        Learn(destination, at, onTrial: false);
        foreach (string name in names ?? [])
        {
            Names.Learn(name, destination, Seconds(at));
        }
    }

    /// <summary>Remembers a destination of an ordinary container: on trial once the host enforces.</summary>
    public void LearnFromContainer(Destination destination, Stamp at) => Learn(destination, at, onTrial: !IsLearning(at.Time));

    private void Learn(Destination destination, Stamp at, bool onTrial)
    {
        if (IsNoise(destination, out _))
        {
            return;
        }

        uint seconds = Seconds(at);
        if (Seen.Add(destination, seconds, onTrial))
        {
            Learned?.Invoke(destination, seconds, onTrial);
        }
    }

    private static uint Seconds(Stamp at) => (uint)Math.Clamp(at.Wall / Stamp.Second, 0, uint.MaxValue);

    public void Approve(DestinationPattern pattern, string reason)
    {
        var allowed = new AllowedDestination(pattern, "approved", reason, null);
        _ = _allowed.RemoveAll(a => a.Source == "approved" && a.Pattern.Text == pattern.Text);
        _allowed.Add(allowed);
        Approved?.Invoke(allowed);
    }

    /// <summary>Takes back approvals of exactly this text and everything seen that matches.</summary>
    public int Forget(DestinationPattern pattern)
    {
        int removed = _allowed.RemoveAll(a => a.Source == "approved" && a.Pattern.Text == pattern.Text);
        removed += pattern.Name.Length > 0 ? Names.Forget(pattern.Covers) : Seen.Remove(pattern.Matches);
        Forgotten?.Invoke(pattern);
        return removed;
    }

    private static string NoiseOf(NetAddress address)
    {
        if (address.IsIPv4)
        {
            uint v4 = address.IPv4;
            return (v4 >> 24) == 127 ? "loopback"
                : v4 == 0 ? "no address"
                : v4 == uint.MaxValue ? "broadcast"
                : (v4 >> 28) == 0xE ? "multicast"
                : (v4 >> 16) == 0xA9FE && v4 != 0xA9FE_A9FE ? "link-local"
                : "";
        }

        return address is { High: 0, Low: 1 } ? "loopback"
            : address is { High: 0, Low: 0 } ? "no address"
            : (address.High >> 56) == 0xFF ? "multicast"
            : (address.High >> 54) == 0x3FA ? "link-local"
            : "";
    }
}
