using ImageSentinel.Agent.Commands;
using ImageSentinel.Agent.Composition;
using ImageSentinel.Agent.Lifetime;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Pipeline;
using ImageSentinel.Agent.Uplink;
using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Model;
using ImageSentinel.Tests.Support;
using ImageSentinel.Tests.Uplink;
using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;

namespace ImageSentinel.Tests.Agent;

/// <summary>What the agent keeps on disk, and what becomes of it on a bad day.</summary>
[System.Runtime.Versioning.SupportedOSPlatform("linux")]
public sealed class StateTests
{
    private const UnixFileMode Open = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private static readonly BaselineOptions _learning = new(ImageSentinel.Agent.Options.BaselineMode.Learning, TimeSpan.FromDays(7));

    private string _folder = "";

    [SetUp]
    public void Prepare() => _folder = Directory.CreateTempSubdirectory("imagesentinel-test-").FullName;

    [TearDown]
    public void Clean() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void A_state_directory_that_others_could_read_is_closed()
    {
        File.WriteAllText(PathOf("baseline.db"), "");
        File.SetUnixFileMode(PathOf("baseline.db"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        File.SetUnixFileMode(_folder, Open);

        string? said = StateDirectory.MakePrivate(_folder, "/run/imagesentinel/agent.sock");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(said, Does.Contain(_folder).And.Contain("0755").And.Contain("0700"));
            Assert.That(File.GetUnixFileMode(_folder), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute));
            Assert.That(File.GetUnixFileMode(PathOf("baseline.db")), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
            Assert.That(StateDirectory.MakePrivate(_folder, "/run/imagesentinel/agent.sock"), Is.Null, "said once");
        }
    }

    [Test]
    public void A_folder_that_others_live_in_is_not_taken_from_them()
    {
        File.WriteAllText(PathOf("somebody-elses"), "");
        File.SetUnixFileMode(_folder, Open);

        string? said = StateDirectory.MakePrivate(_folder, "/run/imagesentinel/agent.sock");

        Assert.That((said, File.GetUnixFileMode(_folder)), Is.EqualTo(((string?)null, Open)));
    }

    [TestCase("baseline.db")]
    [TestCase("images.db")]
    public void A_damaged_database_is_moved_aside_and_a_new_one_begun(string name)
    {
        File.WriteAllBytes(PathOf(name), [.. Enumerable.Repeat((byte)0x5a, 40_000)]);
        var log = new LogCollector();

        if (name == "baseline.db")
        {
            using var store = new BaselineStore(_folder, log.For<BaselineStore>());
            Assert.That(store.Load(_learning, DateTimeOffset.UtcNow).Seen.Count, Is.Zero);
        }
        else
        {
            using var store = new ImageStore(_folder, log.For<ImageStore>());
            store.Load();
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(log.Lines, Has.Count.EqualTo(1));
            Assert.That(log.Lines.Single(), Does.Contain(PathOf(name)).And.Contain("damaged-"));
            Assert.That(new FileInfo(Directory.EnumerateFiles(_folder, $"{name}.damaged-*").Single()).Length, Is.EqualTo(40_000));
        }
    }

    [Test]
    public void A_database_that_cannot_be_made_is_kept_in_memory_and_said()
    {
        // A folder in the file's place: what a full disk answers cannot be had without a file system of one's own.
        Directory.CreateDirectory(PathOf("baseline.db"));
        var log = new LogCollector();

        using var store = new BaselineStore(_folder, log.For<BaselineStore>());
        DestinationBaseline baseline = store.Load(_learning, DateTimeOffset.UtcNow);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(baseline.Seen.Count, Is.Zero);
            Assert.That(log.Lines.Single(), Does.Contain(PathOf("baseline.db")).And.Contain("in memory"));
            Assert.That(store.Remember("host_id", "a"), Is.Null);
            Assert.That(store.Remember("host_id", "b"), Is.EqualTo("a"));
        }
    }

    [Test]
    public void A_hosts_identity_survives_and_a_broken_one_is_replaced_aloud()
    {
        var log = new LogCollector();
        string first = HostId.In(_folder, log.For<StateTests>());
        string again = HostId.In(_folder, log.For<StateTests>());
        int said = log.Lines.Count;
        File.WriteAllText(PathOf("host-id"), "short");
        string other = HostId.In(_folder, log.For<StateTests>());

        using (Assert.EnterMultipleScope())
        {
            Assert.That((again, said), Is.EqualTo((first, 0)));
            Assert.That(other, Is.Not.EqualTo(first).And.Length.EqualTo(32));
            Assert.That(log.Lines.Single(), Does.Contain(PathOf("host-id")));
            Assert.That(Directory.EnumerateFiles(_folder).Select(Path.GetFileName), Is.EqualTo(new[] { "host-id" }));
        }
    }

    [Test]
    public void What_a_queue_dropped_is_told_as_coverage_and_logged_once_an_episode()
    {
        long dropped = 0;
        var log = new LogCollector();
        var time = new SteppedTime();
        List<SensorFact> told = [];
        using var watch = new DropWatch([new DropSource("outputs", () => dropped, "too slow")], told.Add, time, log.For<DropWatch>());
        watch.Start();
        watch.Look();
        dropped = 3;
        watch.Look();
        dropped = 5;
        watch.Look();
        time.Seconds = 31;
        watch.Look();
        watch.Look();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(told.Select(fact => (fact.Health, fact.Dropped)), Is.EqualTo(new[] { ("active", 0L), ("degraded", 3), ("degraded", 5), ("active", 5) }));
            Assert.That(log.Lines, Has.Count.EqualTo(2));
        }
    }

    [Test]
    public async Task An_agent_with_the_state_of_a_killed_one_and_a_damaged_file_closes_the_build_and_goes_on()
    {
        string state = PathOf("state");
        Directory.CreateDirectory(state);
        using (var spool = new FindingSpool(new SpoolOptions { Directory = state }, NullLogger<FindingSpool>.Instance, TimeProvider.System))
        {
            spool.Append(new V1.OutputRecord { Build = new V1.Build { Id = "b1", State = V1.BuildState.Started } });
        }

        File.WriteAllBytes(Path.Combine(state, "baseline.db"), [.. Enumerable.Repeat((byte)0x5a, 40_000)]);
        (ExitCode code, List<V1.OutputRecord> told) = await RunAgentAsync(state, records: 2);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.EqualTo(ExitCode.Success));
            Assert.That(told[0].Coverage.Sensors.Select(sensor => sensor.Sensor), Is.SupersetOf(new[] { "outputs", "lookups", "baseline" }));
            Assert.That((told[1].Build.Id, told[1].Build.State, told[1].Build.Verdict), Is.EqualTo(("b1", V1.BuildState.Ended, V1.Verdict.Unknown)));
            Assert.That(Directory.EnumerateFiles(state, "baseline.db.damaged-*"), Is.Not.Empty);
            Assert.That(File.Exists(Path.Combine(state, "running")), Is.False, "stopped in order");
        }
    }

    [Test]
    [RequiresRoot]
    public async Task An_agent_on_a_full_disk_watches_all_the_same()
    {
        string state = PathOf("full");
        Directory.CreateDirectory(state);
        Assert.That(Call("mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", state), Is.Zero);
        try
        {
            File.WriteAllBytes(Path.Combine(state, "filler"), new byte[64 * 1024]);
            (ExitCode code, List<V1.OutputRecord> told) = await RunAgentAsync(state, records: 1);

            Assert.That((code, told[0].Coverage is not null), Is.EqualTo((ExitCode.Success, true)));
        }
        finally
        {
            Call("umount", state);
        }
    }

    // The real pipeline with every sensor off: it touches nothing of the host.
    private async Task<(ExitCode Code, List<V1.OutputRecord> Told)> RunAgentAsync(string state, int records)
    {
        string lines = PathOf("records.jsonl");
        File.WriteAllText(PathOf("agent.yaml"), $$"""
            state_dir: {{state}}
            control_socket: {{PathOf("agent.sock")}}
            engines: [{socket: {{PathOf("nobody.sock")}}}]
            outputs: {journald: false, json_lines: {{lines}}}
            sensors: {audit: "off", fanotify: "off", processes: "off", conntrack: "off", names: "off", bpf: "off", history: "off"}
            """);
        ConfigurationResult configuration = ConfigurationLoader.Load(PathOf("agent.yaml"), new Dictionary<string, string>());
        Assert.That(configuration.Options, Is.Not.Null, string.Join('\n', configuration.Errors));

        using var stop = new CancellationTokenSource();
        using var parts = new AgentParts();
        Task<ExitCode> running = new AgentShell(new RunRequest(configuration.Options!, () => configuration, TextWriter.Null, false), parts, NullLoggerFactory.Instance)
            .RunAsync(stop.Token);
        for (DateTime limit = DateTime.UtcNow.AddSeconds(60); DateTime.UtcNow < limit && !running.IsCompleted && Read().Count < records; await Task.Delay(20))
        {
        }

        await stop.CancelAsync();
        return (await running, Read());

        List<V1.OutputRecord> Read() => !File.Exists(lines) ? []
            : [.. File.ReadAllText(lines).Split('\n')[..^1].Select(Google.Protobuf.JsonParser.Default.Parse<V1.OutputRecord>)];
    }

    private static int Call(string program, params string[] arguments)
    {
        using var process = System.Diagnostics.Process.Start(program, arguments);
        process.WaitForExit();
        return process.ExitCode;
    }

    private string PathOf(string name) => Path.Combine(_folder, name);

    private sealed class SteppedTime : TimeProvider
    {
        public long Seconds { get; set; }

        public override long TimestampFrequency => 1;

        public override long GetTimestamp() => Seconds;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => new NoTimer();
    }

    private sealed class NoTimer : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) => true;

        public void Dispose()
        {
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
