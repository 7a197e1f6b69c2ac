using ImageSentinel.Lab.Harness;
using ImageSentinel.V1;

namespace ImageSentinel.Lab;

/// <summary>Builders other than the engine, and the engine's build history, on a real engine. Nobody is trusted here: a
/// builder in a container must be told.</summary>
[TestFixtureSource(typeof(LabHost), nameof(LabHost.Engines))]
internal sealed class BuilderTests(string engine)
{
    private string _folder = "";
    private CollectorUnderTest _collector = null!;
    private AgentUnderTest _agent = null!;

    [OneTimeSetUp]
    public async Task Start()
    {
        _folder = Directory.CreateTempSubdirectory("imagesentinel-test-").FullName;
        _collector = new CollectorUnderTest(Path.Combine(_folder, "collector"));
        await _collector.StartAsync();
        _agent = new AgentUnderTest(Path.Combine(_folder, "agent"), [LabHost.Describe(engine)["LAB_SOCKET"]], _collector.Url, policy: "trusted_clients: [{user: nobody}]\n  new_image_threshold: 100000");
        await _agent.StartAsync();
    }

    [OneTimeTearDown]
    public void Stop()
    {
        if (TestContext.CurrentContext.Result.FailCount > 0)
        {
            _agent.Keep($"builders-{engine}");
        }

        _agent.Dispose();
        _collector.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [TestCaseSource(typeof(ScenarioTable), nameof(ScenarioTable.BuilderCases))]
    public async Task A_builder_without_the_engine_is_seen_with_its_steps_and_its_requester(object row)
    {
        var scenario = (BuilderCase)row;
        Need(scenario.Program);
        Attack attack = LabHost.Attack(scenario.Name, engine, "buildkit");
        Build build = await _collector.EndedBuildAsync(attack.Tag, build => IsOf(build, attack));
        await _collector.FindingAsync(build, attack.Address);
        build = (await _collector.BuildsAsync()).Single(same => same.Id == build.Id);
        IReadOnlyList<Finding> findings = await _collector.FindingsAsync(build);

        BuildStep step = build.Steps.Single(step => step.Egress.Any(egress => egress.Address == attack.Address));
        Assert.Multiple(() =>
        {
            Assert.That(build.Builder, Is.EqualTo(scenario.Builder), build.ToString());
            Assert.That(build.Clients[0].Transport, Is.EqualTo("local"));
            Assert.That(build.Clients[0].Process.Pid, Is.GreaterThan(1));
            Assert.That(build.Result, Is.EqualTo(scenario.Result));
            Assert.That(step.Instruction, Does.Contain("curl"));
            Assert.That(step.HasExitCode && step.ExitCode == 0, Is.True, step.ToString());
            Assert.That(build.BuilderContainerId, scenario.InContainer ? Has.Length.EqualTo(64) : Is.Empty);
            Assert.That(findings.Any(f => f.Detector == "never-seen-egress" && f.Severity == Severity.High), Is.True);
            Assert.That(
                findings.Where(f => f.Detector == "builder-in-container").Select(f => f.Severity),
                scenario.InContainer ? Is.EqualTo([Severity.High]) : Is.Empty);
        });
    }

    [Test]
    public async Task A_clean_podman_build_is_a_record_and_an_ordinary_podman_container_is_none()
    {
        Need("podman");
        Attack container = LabHost.Attack("podman-run", engine, "buildkit");
        Attack attack = LabHost.Attack("podman-clean", engine, "buildkit");
        Build build = await _collector.EndedBuildAsync(attack.Tag, build => build.Wears(attack.Tag));

        Assert.That(build.AllEgress(), Is.Empty);
        Assert.That((await _collector.FindingsAsync(build)).Alerts().Select(f => f.Detector), Is.EqualTo(["build-by-unexpected-client"]));
        Assert.That((await _collector.BuildsAsync()).Where(b => b.AllEgress().Any(e => e.Address == container.Address)), Is.Empty);
    }

    [Test]
    public async Task Of_twelve_builds_at_once_only_the_bad_one_is_blamed()
    {
        Attack attack = LabHost.Attack("twelve-at-once", engine, "buildkit");
        for (int n = 1; n <= 12; n++)
        {
            string tag = $"{attack.Tag}-{n}";
            Build build = await _collector.EndedBuildAsync(tag, build => build.Wears(tag));
            Assert.Multiple(() =>
            {
                Assert.That(build.Steps.Count(step => step.Instruction.Contains($"of {n};", StringComparison.Ordinal)), Is.EqualTo(1), build.ToString());
                Assert.That(build.AllEgress().Select(e => e.Address), n == 7 ? Has.Member(attack.Address) : Is.Empty, build.ToString());
                Assert.That(build.Clients[0].Process.Args, Does.Contain(tag));
            });
        }
    }

    [TestCase("history-deleted")]
    [TestCase("history-internal")]
    public async Task A_build_that_its_history_does_not_hold_is_a_mismatch(string scenario)
    {
        NeedHistory();
        Attack attack = LabHost.Attack(scenario, engine, "buildkit");
        Build build = await _collector.EndedBuildAsync(attack.Tag, build => build.IsOf(attack));
        Finding finding = await Wait.ForAsync(
            "a mismatch", async () => (await _collector.FindingsAsync(build)).FirstOrDefault(f => f.Detector == "record-mismatch"));

        Assert.That(finding.Severity, Is.EqualTo(Severity.High));
    }

    [Test]
    public async Task What_an_administrator_cleans_up_is_no_mismatch()
    {
        NeedHistory();
        Attack attack = LabHost.Attack("prune", engine, "buildkit");
        Build build = await Wait.ForAsync(
            "the build with its record",
            async () => (await _collector.BuildsAsync()).FirstOrDefault(b => b.Wears(attack.Tag) && b.History?.State == "complete"));

        // A build that ends later has been judged later.
        Attack next = LabHost.Attack("history-internal", engine, "buildkit");
        Build judged = await _collector.EndedBuildAsync(next.Tag, b => b.IsOf(next));
        _ = await Wait.ForAsync("a mismatch", async () => (await _collector.FindingsAsync(judged)).FirstOrDefault(f => f.Detector == "record-mismatch"));
        Assert.That((await _collector.FindingsAsync(build)).Select(f => f.Detector), Has.None.EqualTo("record-mismatch"));
    }

    [Test]
    public void The_coverage_says_whether_the_engine_keeps_a_history()
    {
        SensorCoverage history = _agent.Records()[0].Coverage.Sensors.Single(s => s.Sensor == "history");

        Assert.That(history.State, Is.EqualTo(KeepsHistory ? SensorState.Active : SensorState.Off));
        Assert.That(history.Reason, KeepsHistory ? Is.Empty : Does.Contain("keeps no build history"));
    }

    private bool KeepsHistory => !LabHost.Docker(engine, "version", "--format", "{{.Server.Version}}").StartsWith("20.", StringComparison.Ordinal);

    private void NeedHistory()
    {
        if (!KeepsHistory)
        {
            Assert.Ignore("this engine keeps no build history");
        }
    }

    private static void Need(string program)
    {
        if (program.Length > 0 && Tool.Run("/bin/sh", "-c", $"PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v {program}").ExitCode != 0)
        {
            Assert.Ignore($"not installed: {program}");
        }
    }

    // An engine in a container is asked there: its build is found by what it reached.
    private static bool IsOf(Build build, Attack attack)
        => build.IsOf(attack) || build.AllEgress().Any(egress => egress.Address == attack.Address);
}
