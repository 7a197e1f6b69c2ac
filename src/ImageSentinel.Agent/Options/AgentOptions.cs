using System.Collections.Immutable;

namespace ImageSentinel.Agent.Options;

/// <summary>
/// Everything an operator may decide, validated. Made by <see cref="ConfigurationLoader"/> only; a re-read makes a new
/// one, so nobody ever sees half of a change.
/// </summary>
public sealed record AgentOptions
{
    /// <summary>Spool and baseline live here; made 0700 when absent.</summary>
    public required string StateDirectory { get; init; }

    /// <summary>Unix socket on which the running agent answers its own commands.</summary>
    public required string ControlSocket { get; init; }

    /// <summary>At least one.</summary>
    public required ImmutableArray<EngineOptions> Engines { get; init; }

    public required PolicyOptions Policy { get; init; }

    public required BaselineOptions Baseline { get; init; }

    /// <summary>Indicator files: plain lists or STIX 2.1 bundles. They may be absent at start; that is told, not fatal.</summary>
    public required ImmutableArray<string> Indicators { get; init; }

    public required OutputOptions Outputs { get; init; }

    public required SensorOptions Sensors { get; init; }
}

/// <summary>One Docker engine to watch.</summary>
/// <param name="Socket">Absolute path of its API socket; daemon pid, data root and exec root are found from it.</param>
/// <param name="DataRoot">Only where it cannot be found; else null.</param>
public sealed record EngineOptions(string Socket, string? DataRoot);

/// <summary>What counts as expected on this host.</summary>
public sealed record PolicyOptions
{
    /// <summary>Who may build. Empty: every requester is unexpected.</summary>
    public required ImmutableArray<TrustedClient> TrustedClients { get; init; }

    /// <summary>Registries (host, host:port, optionally with a path prefix) whose images may be a base. Empty: not judged.</summary>
    public required ImmutableArray<string> RegistryAllowList { get; init; }

    /// <summary>Images one client may make within <see cref="TimeWindow"/>.</summary>
    public required int NewImageThreshold { get; init; }

    /// <summary>Window of the threshold; also how long after a build its orphans and deployments still count.</summary>
    public required TimeSpan TimeWindow { get; init; }

    public required ImmutableArray<AllowedDestination> AllowedDestinations { get; init; }
}

/// <summary>A requester that may build. Every member that is set must match; at least one is.</summary>
public sealed record TrustedClient
{
    public string? User { get; init; }

    public uint? Uid { get; init; }

    public string? Exe { get; init; }

    /// <summary>Remote address of a TCP or TLS client.</summary>
    public System.Net.IPNetwork? Remote { get; init; }

    public string? TlsCommonName { get; init; }

    public string? ContainerImage { get; init; }
}

/// <summary>A destination that needs no baseline.</summary>
/// <param name="To">Network, name or <c>*.suffix</c>.</param>
/// <param name="Port">Null: every port.</param>
/// <param name="Protocol">"tcp", "udp", or null for both.</param>
/// <param name="Reason">Why, in the operator's words; shown beside the verdict. May be empty.</param>
/// <param name="Expires">From then on the entry no longer counts.</param>
public sealed record AllowedDestination(
    DestinationPattern To, ushort? Port, string? Protocol, string Reason, DateTimeOffset? Expires);

/// <summary>The baseline's mode at first start. The store remembers the switch to enforcing by itself.</summary>
public sealed record BaselineOptions(BaselineMode Mode, TimeSpan LearnFor);

public enum BaselineMode
{
    Learning,
    Enforcing,
}

public sealed record OutputOptions
{
    public required bool Journald { get; init; }

    /// <summary>Empty: none. "-": standard output. Else an absolute path.</summary>
    public required string JsonLines { get; init; }

    public required CollectorOptions Collector { get; init; }
}

/// <summary>Where findings are pushed. All paths absolute or empty.</summary>
/// <param name="Url">Null: no collector; the spool then keeps nothing for one.</param>
/// <param name="Authority">PEM file of the authority that signed the collector's certificate; empty: the system's.</param>
/// <param name="Certificate">PEM file of our own certificate; empty: none is shown.</param>
/// <param name="Key">PEM file of its key; empty exactly when the certificate is.</param>
/// <param name="SpoolLimit">Bytes the spool may take before the oldest records are given up, counted and told.</param>
public sealed record CollectorOptions(Uri? Url, string Authority, string Certificate, string Key, long SpoolLimit);

public sealed record SensorOptions(
    SensorMode Audit,
    SensorMode Fanotify,
    SensorMode Processes,
    SensorMode Conntrack,
    SensorMode Names,
    SensorMode Bpf,
    SensorMode History = SensorMode.Auto);

public enum SensorMode
{
    /// <summary>On where the host can; degraded or off is told, not fatal.</summary>
    Auto,

    /// <summary>The agent does not start without it.</summary>
    On,

    Off,
}
