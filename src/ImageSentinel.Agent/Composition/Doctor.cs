using System.Collections.Immutable;
using System.Net.Sockets;
using ImageSentinel.Agent.Commands;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.Agent.Pipeline;
using ImageSentinel.Detection.Model;
using ImageSentinel.Interop;
using ImageSentinel.Sensors.Audit;
using ImageSentinel.Sensors.Conntrack;
using ImageSentinel.Sensors.History;
using ImageSentinel.Sensors.Lookups;
using ImageSentinel.Sensors.SelfTesting;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Agent.Composition;

/// <summary>Opens what <c>run</c> opens, proves it the way <c>run</c> does, tells each result with its remedy, and closes it.</summary>
internal sealed class Doctor : IDoctor
{
    public ImmutableArray<DoctorCheck> Examine(AgentOptions options) => ExamineAsync(options).GetAwaiter().GetResult();

    private static async Task<ImmutableArray<DoctorCheck>> ExamineAsync(AgentOptions options)
    {
        var checks = new List<DoctorCheck> { Privileges() };
        using var queue = new SensorQueue();
        await using var sensors = new SensorSet(options.Sensors, queue, new AuditSensorOptions());
        var tap = new SelfTestTap(queue);
        sensors.Start(tap);
        var engines = new List<EngineFact>();
        for (int i = 0; i < options.Engines.Length; i++)
        {
            EngineFact engine = await EngineDiscovery.FindAsync(i, options.Engines[i].Socket, options.Engines[i].DataRoot ?? "", CancellationToken.None)
                .ConfigureAwait(false);
            engines.Add(engine);
            checks.Add(Engine(engine));
            if (engine.Reachable)
            {
                sensors.Watch(engine);
            }
        }

        checks.AddRange(await Sensors(sensors, tap, engines).ConfigureAwait(false));
        checks.Add(AuditRole(sensors.Audit));
        checks.Add(ByteCounts());
        checks.Add(StateDirectory(options.StateDirectory));
        checks.Add(JournalCheck(options.Outputs.Journald));
        checks.Add(await Collector(options.Outputs.Collector.Url).ConfigureAwait(false));
        return [.. checks];
    }

    private static DoctorCheck Privileges()
    {
        IReadOnlyList<string> missing = Capabilities.Missing();
        return missing.Count == 0
            ? new DoctorCheck(DoctorCheck.Privileges, DoctorResult.Ok, "every capability that the sensors need is there", "")
            : new DoctorCheck(DoctorCheck.Privileges, DoctorResult.Failure, $"missing {string.Join(", ", missing)}", "run it as root: sudo imagesentinel doctor");
    }

    private static DoctorCheck Engine(EngineFact engine) => engine.Reachable
        ? new DoctorCheck($"engine {engine.Socket}", DoctorResult.Ok, $"Docker {engine.Version}, pid {engine.DaemonPid}, data root {engine.DataRoot}, {engine.StorageDriver}", "")
        : new DoctorCheck(
            $"engine {engine.Socket}",
            DoctorResult.Failure,
            Printable.Line(engine.Note, 300),
            "start docker, or name its socket: engines: [{socket: /run/docker.sock}]");

    private static async Task<List<DoctorCheck>> Sensors(SensorSet sensors, SelfTestTap tap, List<EngineFact> engines)
    {
        EngineFact[] reachable = [.. engines.Where(static e => e.Reachable)];
        IReadOnlyList<SensorProof> proofs = await SelfTest.RunAsync(tap, SelfTestPlans.For(sensors, reachable)).ConfigureAwait(false);
        await sensors.SettleAsync().ConfigureAwait(false);
        var checks = new List<DoctorCheck>();
        foreach (ISensor sensor in sensors.Sensors)
        {
            SensorProof? proof = proofs.FirstOrDefault(p => p.Sensor == sensor.Name);
            SensorStatus status = sensor.Status;
            checks.Add(status.Health switch
            {
                SensorHealth.Off when sensor is HistorySensor => new DoctorCheck(sensor.Name, DoctorResult.Ok, $"none: {status.Reason}", ""),
                SensorHealth.Off => new DoctorCheck(sensor.Name, DoctorResult.Failure, $"off: {status.Reason}", Remedy(sensor.Name)),
                SensorHealth.Degraded => new DoctorCheck(sensor.Name, DoctorResult.Warning, status.Reason, Remedy(sensor.Name)),
                _ when proof is { Delivers: false } => new DoctorCheck(sensor.Name, DoctorResult.Warning, proof.Reason, Remedy(sensor.Name)),
                _ => new DoctorCheck(sensor.Name, DoctorResult.Ok, proof is null ? "reading" : "reading; a child process proved that it delivers", ""),
            });
        }

        checks.AddRange(proofs.Where(static p => p is { Sensor: "engine", Delivers: false })
            .Select(static p => new DoctorCheck("engine seen by audit", DoctorResult.Warning, p.Reason, "restart the engine once, or boot with audit=1")));
        return checks;
    }

    private static string Remedy(string sensor) => sensor switch
    {
        "audit" => "see docs/audit-role.md; auditctl -s shows who owns audit and whether it is locked",
        "fanotify" => "needs CAP_SYS_ADMIN and a data root on a local file system (ext4, xfs, btrfs)",
        "processes" => "needs CAP_NET_ADMIN in the host's network and pid namespaces",
        "conntrack" => "optional: a second witness for the network; it needs CAP_NET_ADMIN",
        _ => "",
    };

    private static DoctorCheck AuditRole(AuditSensor? audit)
    {
        if (audit is null || audit.Status.Health == SensorHealth.Off)
        {
            return new DoctorCheck("audit role", DoctorResult.Warning, "audit is not read", Remedy("audit"));
        }

        string found = audit.ForeignOwner is { } owner
            ? $"read by multicast beside the audit daemon with pid {owner}; its rules and role stay untouched"
            : audit.OtherAgent is { } agent
                ? $"the agent with pid {agent} is at work; this look at it reads by multicast beside it"
            : audit.Reading == AuditReading.Owner
                ? "nobody owns audit: the agent takes the unicast role with a backlog that never makes the host wait"
                : "read by multicast; nobody owns audit, so the kernel also prints records to its log, rate-limited";
        return new DoctorCheck("audit role", DoctorResult.Ok, found, "");
    }

    private static DoctorCheck ByteCounts() => ConntrackSensor.CountsBytes
        ? new DoctorCheck("bytes per flow", DoctorResult.Ok, "nf_conntrack_acct is on", "")
        : new DoctorCheck(
            "bytes per flow", DoctorResult.Warning, "not counted: nf_conntrack_acct is 0", "sysctl -w net.netfilter.nf_conntrack_acct=1 (the agent never sets it)");

    private static DoctorCheck StateDirectory(string path)
    {
        try
        {
            Lifetime.StateDirectory.Prepare(path);
            return new DoctorCheck("state directory", DoctorResult.Ok, $"{path} can be written", "");
        }
        catch (CommandException e)
        {
            return new DoctorCheck("state directory", DoctorResult.Failure, e.Message, "set state_dir to a folder on a disk with room");
        }
    }

    private static DoctorCheck JournalCheck(bool wanted)
        => !wanted ? new DoctorCheck("journal", DoctorResult.Ok, "switched off in the configuration", "")
        : Journal.Absence is { } absence ? new DoctorCheck("journal", DoctorResult.Warning, absence, "install libsystemd0, or set outputs.journald: false")
        : new DoctorCheck("journal", DoctorResult.Ok, "libsystemd is there", "");

    private static async Task<DoctorCheck> Collector(Uri? url)
    {
        if (url is null)
        {
            return new DoctorCheck("collector", DoctorResult.Ok, "none configured", "");
        }

        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(url.Host.Trim('[', ']'), url.Port).WaitAsync(TimeSpan.FromSeconds(3)).ConfigureAwait(false);
            return new DoctorCheck("collector", DoctorResult.Ok, $"{url} accepts connections", "");
        }
        catch (Exception e) when (e is SocketException or TimeoutException)
        {
            return new DoctorCheck("collector", DoctorResult.Warning, $"{url}: {e.Message}", "findings wait in the spool until it answers; start imagesentinel-collector there");
        }
    }
}
