using System.Net;

namespace ImageSentinel.Agent.Options;

/// <summary>Every setting of the agent: its key, kind, default and one line of help.</summary>
internal static class AgentSchema
{
    public static readonly ValueSetting<string> StateDirectory =
        new("state_dir", "Spool and baseline; made 0700", ValueTypes.Path, "/var/lib/imagesentinel");

    public static readonly ValueSetting<string> ControlSocket =
        new("control_socket", "Status, builds, findings and baseline commands talk to the running agent here", ValueTypes.Path, "/run/imagesentinel/agent.sock");

    public static readonly ValueSetting<string> EngineSocket =
        new("socket", "The engine's API socket; data root, exec root and daemon pid are found from it", ValueTypes.EngineSocket);

    public static readonly ValueSetting<string> EngineDataRoot =
        new("data_root", "Only if it cannot be found", ValueTypes.Path);

    public static readonly SectionListSetting Engines =
        new("engines", "Docker engines to watch, one or more", [EngineSocket, EngineDataRoot], "[{socket: /run/docker.sock}]");

    public static readonly ValueSetting<string> ClientUser = new("user", "Login name", ValueTypes.Text);
    public static readonly ValueSetting<long> ClientUid = new("uid", "Numeric user id", ValueTypes.Integer(0, uint.MaxValue - 1));
    public static readonly ValueSetting<string> ClientExe = new("exe", "Executable", ValueTypes.Path);
    public static readonly ValueSetting<IPNetwork> ClientRemote = new("remote", "Address of a TCP or TLS client", ValueTypes.Network);
    public static readonly ValueSetting<string> ClientTlsName = new("tls_cn", "Common name of a TLS client's certificate", ValueTypes.Text);
    public static readonly ValueSetting<string> ClientImage = new("container_image", "Image of the container that the client runs in", ValueTypes.Text);

    public static readonly SectionListSetting TrustedClients = new(
        "trusted_clients",
        "Who may build; anything else is an unexpected build request. All keys of one entry must match",
        [ClientUser, ClientUid, ClientExe, ClientRemote, ClientTlsName, ClientImage],
        "[]");

    public static readonly ListSetting<string> RegistryAllowList =
        new("registry_allow_list", "Registries that base images and frontends may come from; empty: not judged", ValueTypes.Registry);

    public static readonly ValueSetting<long> NewImageThreshold =
        new("new_image_threshold", "Images that one client may make in time_window", ValueTypes.Integer(1, 1_000_000), "10");

    public static readonly ValueSetting<TimeSpan> TimeWindow = new(
        "time_window",
        "Window of new_image_threshold; also how long after a build its orphans and deploys count",
        ValueTypes.Duration(TimeSpan.FromSeconds(1), TimeSpan.FromDays(7)),
        "5m");

    public static readonly ValueSetting<DestinationPattern> AllowedTo = new("to", "Address, CIDR, name or *.suffix", ValueTypes.Destination);
    public static readonly ValueSetting<long> AllowedPort = new("port", "Only this port", ValueTypes.Integer(1, ushort.MaxValue));
    public static readonly ValueSetting<string> AllowedProtocol = new("protocol", "Only this protocol", ValueTypes.OneOf(("tcp", "tcp"), ("udp", "udp")));
    public static readonly ValueSetting<string> AllowedReason = new("reason", "Why; shown beside the verdict", ValueTypes.Text);
    public static readonly ValueSetting<DateTimeOffset> AllowedExpires = new("expires", "From then on the entry no longer counts", ValueTypes.Moment);

    public static readonly SectionListSetting AllowedDestinations = new(
        "allowed_destinations",
        "Destinations that need no baseline",
        [AllowedTo, AllowedPort, AllowedProtocol, AllowedReason, AllowedExpires],
        "[]");

    public static readonly SectionSetting Policy = new(
        "policy",
        "What is expected on this host",
        [TrustedClients, RegistryAllowList, NewImageThreshold, TimeWindow, AllowedDestinations]);

    public static readonly ValueSetting<BaselineMode> Mode = new(
        "mode",
        "learning collects destinations, enforcing reports those never seen",
        ValueTypes.OneOf(("learning", BaselineMode.Learning), ("enforcing", BaselineMode.Enforcing)),
        "learning");

    public static readonly ValueSetting<TimeSpan> LearnFor = new(
        "learn_for",
        "Then enforcing by itself; the state is always visible in status",
        ValueTypes.Duration(TimeSpan.Zero, TimeSpan.FromDays(365)),
        "7d");

    public static readonly SectionSetting Baseline = new("baseline", "Destinations this host has been seen to reach", [Mode, LearnFor]);

    public static readonly ListSetting<string> Indicators =
        new("indicators", "Files: plain lists (IP, CIDR, name, SHA-256, image digest) or STIX 2.1 bundles", ValueTypes.Path);

    public static readonly ValueSetting<bool> Journald = new("journald", "One journal entry per finding", ValueTypes.Boolean, "true");

    public static readonly ValueSetting<string> JsonLines =
        new("json_lines", "A path, or \"-\" for standard output", ValueTypes.JsonLinesTarget, "");

    public static readonly ValueSetting<Uri?> CollectorUrl = new("url", "https://host:port; empty: none", ValueTypes.CollectorUrl, "");
    public static readonly ValueSetting<string> CollectorAuthority = new("ca", "PEM file of the collector's authority", ValueTypes.OptionalPath, "");
    public static readonly ValueSetting<string> CollectorCertificate = new("cert", "PEM file of our certificate", ValueTypes.OptionalPath, "");
    public static readonly ValueSetting<string> CollectorKey = new("key", "PEM file of our key", ValueTypes.OptionalPath, "");

    public static readonly ValueSetting<long> SpoolLimit = new(
        "spool_limit",
        "What the spool may take on disk before the oldest records are given up, counted and told",
        ValueTypes.Size(1 << 20),
        "256MiB");

    public static readonly SectionSetting Collector = new(
        "collector",
        "Where findings are pushed",
        [CollectorUrl, CollectorAuthority, CollectorCertificate, CollectorKey, SpoolLimit]);

    public static readonly SectionSetting Outputs = new("outputs", "Who is told", [Journald, JsonLines, Collector]);

    public static readonly ValueSetting<SensorMode> Audit = Sensor("audit", "Connects, execs and API connections, from the audit netlink");
    public static readonly ValueSetting<SensorMode> Fanotify = Sensor("fanotify", "Files in layers, build steps and containers");
    public static readonly ValueSetting<SensorMode> Processes = Sensor("processes", "Forks and exits, from the process connector");
    public static readonly ValueSetting<SensorMode> Conntrack = Sensor("conntrack", "Flows and their bytes");
    public static readonly ValueSetting<SensorMode> Names = Sensor("names", "Names behind addresses");
    public static readonly ValueSetting<SensorMode> Bpf = Sensor("bpf", "Optional hooks where the kernel allows them");

    // No "on": an engine without a history is nothing to refuse the start for.
    public static readonly ValueSetting<SensorMode> History = new(
        "history", "The engine's build history (Docker 23.0 and later), a second witness", ValueTypes.OneOf(("auto", SensorMode.Auto), ("off", SensorMode.Off)), "auto");

    public static readonly SectionSetting Sensors = new(
        "sensors",
        "auto: on where the host can. on: the agent does not start without it. off",
        [Audit, Fanotify, Processes, Conntrack, Names, Bpf, History]);

    public static readonly SectionSetting Root =
        new("", "ImageSentinel agent", [StateDirectory, ControlSocket, Engines, Policy, Baseline, Indicators, Outputs, Sensors]);

    private static ValueSetting<SensorMode> Sensor(string key, string help)
        => new(key, help, ValueTypes.OneOf(("auto", SensorMode.Auto), ("on", SensorMode.On), ("off", SensorMode.Off)), "auto");
}
