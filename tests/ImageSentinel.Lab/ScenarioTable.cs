using ImageSentinel.V1;

namespace ImageSentinel.Lab;

/// <summary>Every scenario with one egress, as rows. The scenarios themselves are in <c>tests/lab/scenarios</c>.</summary>
internal static class ScenarioTable
{
    // A client that waits sees EINPROGRESS first; a second witness may know more by the end of the build.
    private static readonly EgressOutcome[] _reached = [EgressOutcome.Established, EgressOutcome.InProgress];
    private static readonly EgressOutcome[] _sent = [EgressOutcome.Sent, EgressOutcome.Established];

    public static readonly ScenarioCase[] Attacks =
    [
        new("http-get") { Instruction = "curl -sS -o /tmp/payload.bin", Index = 3, Total = 4, Port = 80, Exe = "/curl", Outcomes = _reached },
        new("http-get-8080") { Instruction = "wget -q", Index = 3, Total = 3, Port = 8080, Exe = "/busybox", Outcomes = _reached },
        new("udp") { Instruction = "udp-sendto", Port = 9999, Protocol = EgressProtocol.Udp, Exe = "/udp-sendto", Outcomes = _sent },
        new("udp-connected") { Instruction = "udp-connect", Port = 9999, Protocol = EgressProtocol.Udp, Exe = "/udp-connect", Outcomes = _sent },
        new("ipv6") { Instruction = "curl -g", Port = 80, To = Destination.Version6, Exe = "/curl", Outcomes = _reached },
        new("refused") { Instruction = "connect-tcp", Port = 81, Exe = "/connect-tcp", Outcomes = [EgressOutcome.Refused], AtLeast = Severity.Low },
        new("silent")
        {
            Instruction = "timeout 1 connect-tcp", Port = 80, To = Destination.Silent, Exe = "/connect-tcp", AtLeast = Severity.Low,
            Outcomes = [EgressOutcome.Interrupted, EgressOutcome.TimedOut, EgressOutcome.InProgress, EgressOutcome.Failed],
        },
        new("nonblocking") { Instruction = "connect-tcp", Port = 8080, Exe = "/connect-tcp", Outcomes = _reached },
        new("one-millisecond") { Instruction = "flash-tcp", Port = 8080, Exe = "/flash-tcp", Outcomes = _reached },
        new("orphan") { Instruction = "orphan-tcp", Port = 8080, Exe = "/orphan-tcp", Outcomes = _reached },
        new("host-network") { Instruction = "curl -sS", Port = 80, Exe = "/curl", Outcomes = _reached, Network = StepNetwork.Host },
        new("cgroup-parent") { Instruction = "curl -sS", Port = 80, Exe = "/curl", Outcomes = _reached },
        new("python") { Instruction = "urllib.request", Port = 80, Exe = "/python3", Outcomes = _reached },
        new("reverse-shell") { Instruction = "/dev/tcp/", Port = 4444, Exe = "/bash", Outcomes = _reached },
        new("untagged") { Instruction = "curl -sS", Port = 80, Exe = "/curl", Outcomes = _reached },
        new("failed") { Instruction = "exit 7", Port = 80, Exe = "/curl", Outcomes = _reached, Result = BuildResult.Failed },
        new("cancelled") { Instruction = "sleep 60", Port = 80, Exe = "/curl", Outcomes = _reached, Result = BuildResult.Cancelled },
    ];

    /// <summary>Builders that this machine's engine is not.</summary>
    public static readonly BuilderCase[] OtherBuilders =
    [
        new("buildah", "buildah", Builder.Buildah),
        new("buildah-chroot", "buildah", Builder.Buildah),
        new("buildah-script", "buildah", Builder.Buildah),
        new("podman", "podman", Builder.Buildah),
        new("buildah-in-container", "buildah", Builder.Buildah, InContainer: true),
        new("executor-in-container", "", Builder.Kaniko, InContainer: true),
        new("docker-in-docker", "", Builder.ContainerDriver, InContainer: true, BuildResult.NoImage),
    ];

    public static IEnumerable<TestCaseData> BuilderCases()
        => OtherBuilders.Select(row => new TestCaseData(row).SetArgDisplayNames(row.Name));

    public static readonly string[] Builders = ["buildkit", "classic"];

    public static IEnumerable<TestCaseData> AttackCases()
        => from builder in Builders
           from scenario in Attacks
           select new TestCaseData(builder, scenario).SetArgDisplayNames(builder, scenario.Name);
}
