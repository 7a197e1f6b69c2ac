using ImageSentinel.Lab.Harness;
using ImageSentinel.V1;

namespace ImageSentinel.Lab;

/// <summary>Real builds on a real engine, judged by the published programs with an enforced baseline, and read back
/// from the collector.</summary>
[TestFixtureSource(typeof(LabHost), nameof(LabHost.Engines))]
internal sealed class ScenarioTests(string engine)
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
        _agent = new AgentUnderTest(Path.Combine(_folder, "agent"), [LabHost.Describe(engine)["LAB_SOCKET"]], _collector.Url);
        await _agent.StartAsync();
    }

    [OneTimeTearDown]
    public void Stop()
    {
        if (TestContext.CurrentContext.Result.FailCount > 0)
        {
            _agent.Keep($"lab-{engine}");
        }

        _agent.Dispose();
        _collector.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [TestCaseSource(typeof(ScenarioTable), nameof(ScenarioTable.AttackCases))]
    public async Task Egress_of_a_step_becomes_one_finding_that_names_who_which_step_and_where(string builder, object row)
    {
        var scenario = (ScenarioCase)row;
        Attack attack = LabHost.Attack(scenario.Name, engine, builder);
        string address = scenario.AddressOf(attack);
        Build build = await _collector.EndedBuildAsync(attack.Tag, build => build.IsOf(attack));
        await _collector.FindingAsync(build, address);
        build = (await _collector.BuildsAsync()).Single(same => same.Id == build.Id);
        IReadOnlyList<Finding> findings = await _collector.FindingsAsync(build);

        AssertRequester(build, builder);
        BuildStep step = build.Steps.Single(step => step.Instruction.Contains(scenario.Instruction, StringComparison.Ordinal));
        AssertEgress(step, scenario, address);
        Finding finding = AssertFinding(findings, build, step, scenario, address);
        AssertImage(build, finding, scenario, attack);
        Assert.That(build.Verdict, Is.EqualTo(Verdict.Suspicious).Or.EqualTo(Verdict.Malicious), build.ToString());
    }

    [TestCaseSource(typeof(ScenarioTable), nameof(ScenarioTable.Builders))]
    public async Task Clean_build_is_recorded_and_quiet(string builder)
    {
        Attack attack = LabHost.Attack("clean", engine, builder);
        Build build = await EndedAndClean(attack.Tag);

        AssertRequester(build, builder);
        Assert.That(build.Result, Is.EqualTo(BuildResult.Succeeded));
        Assert.That(build.Image.Id, Is.EqualTo(LabHost.Docker(engine, "image", "inspect", "--format", "{{.Id}}", attack.Tag)));
    }

    [TestCaseSource(typeof(ScenarioTable), nameof(ScenarioTable.Builders))]
    public async Task Address_selection_without_a_packet_is_no_egress(string builder)
    {
        Attack attack = LabHost.Attack("udp-silent-connect", engine, builder);
        await EndedAndClean(attack.Tag);
    }

    [TestCaseSource(typeof(ScenarioTable), nameof(ScenarioTable.Builders))]
    public async Task Of_two_builds_at_once_only_the_bad_one_is_blamed(string builder)
    {
        Attack attack = LabHost.Attack("two-at-once", engine, builder);
        await EndedAndClean(attack.Tag + "-good");

        Build bad = await _collector.EndedBuildAsync(attack.Tag, build => build.Wears(attack.Tag));
        Finding[] alerts = [.. (await _collector.FindingsAsync()).Alerts().Where(finding => finding.Speaks(attack.Address))];
        Assert.That(alerts.Select(finding => finding.BuildId).Distinct(), Is.EqualTo([bad.Id]));
    }

    [TestCase("container-beside", "buildkit")]
    [TestCase("container-beside", "classic")]
    [TestCase("host-process-beside", "buildkit")]
    [TestCase("host-process-beside", "classic")]
    public async Task What_others_do_at_the_same_moment_is_not_the_builds_doing(string scenario, string builder)
    {
        Attack attack = LabHost.Attack(scenario, engine, builder);
        Build build = await EndedAndClean(attack.Tag);

        Assert.That(build.AllEgress().Select(egress => egress.Address), Does.Not.Contain(attack.Address));
        Assert.That((await _collector.FindingsAsync()).Alerts().Where(finding => finding.Speaks(attack.Address)), Is.Empty);
    }

    [TestCaseSource(typeof(ScenarioTable), nameof(ScenarioTable.Builders))]
    public async Task Cached_rebuild_is_a_build_that_ran_nothing(string builder)
    {
        Attack attack = LabHost.Attack("cached", engine, builder);
        Build first = await _collector.EndedBuildAsync(attack.Tag, build => build.Wears(attack.Tag));
        Build second = await _collector.EndedBuildAsync(attack.Tag + "-cached", build => build.Wears(attack.Tag + "-cached"));

        Assert.That(first.AllEgress().Select(egress => egress.Address), Does.Contain(attack.Address));
        Assert.That(second.AllEgress(), Is.Empty);
        Assert.That(second.Steps.Where(step => !step.Cached && step.StartTime is not null), Is.Empty, second.ToString());
    }

    [TestCaseSource(typeof(ScenarioTable), nameof(ScenarioTable.Builders))]
    public async Task Approved_destination_is_known_from_then_on(string builder)
    {
        Attack attack = Attack.Next("http-get", engine, builder);
        ToolResult approved = _agent.Command("baseline", "approve", attack.Address + ":80", "--reason", "the lab's mirror");
        Assert.That(approved.ExitCode, Is.Zero, approved.All);
        LabHost.Run(attack);

        Build build = await EndedAndClean(attack.Tag);
        Egress egress = build.AllEgress().Single(egress => egress.Address == attack.Address);
        Assert.That(egress.Novelty, Is.EqualTo(Novelty.Known), egress.ToString());
    }

    [Test]
    public async Task JSON_lines_and_collector_tell_the_same_story()
    {
        Attack attack = LabHost.Attack("http-get", engine, "buildkit");
        Attack clean = LabHost.Attack("clean", engine, "buildkit");
        await EndedAndClean(clean.Tag);
        Build build = await _collector.EndedBuildAsync(attack.Tag, build => build.IsOf(attack));
        IReadOnlyList<Finding> findings = await _collector.FindingsAsync(build);

        List<OutputRecord> lines = _agent.Records();
        Assert.Multiple(() =>
        {
            Assert.That(lines[0].Coverage, Is.Not.Null, "the first object says that the agent is ready");
            Assert.That(lines.Last(line => line.Build?.Id == build.Id).Build, Is.EqualTo(build));
            Assert.That(
                lines.Where(line => line.Finding?.BuildId == build.Id).Select(line => line.Finding.Uid).Distinct(),
                Is.EquivalentTo(findings.Select(finding => finding.Uid)));
        });
    }

    private async Task<Build> EndedAndClean(string tag)
    {
        Build build = await _collector.EndedBuildAsync(tag, build => build.Wears(tag));
        Assert.That((await _collector.FindingsAsync(build)).Alerts(), Is.Empty);
        Assert.That(build.Verdict, Is.EqualTo(Verdict.Clean), build.ToString());
        return build;
    }

    private static void AssertRequester(Build build, string builder)
    {
        Assert.That(build.Builder, Is.EqualTo(builder == "classic" ? Builder.Classic : Builder.Buildkit));
        Assert.That(build.Clients, Is.Not.Empty, build.ToString());
        BuildClient client = build.Clients[0];
        Assert.Multiple(() =>
        {
            Assert.That(client.Transport, Is.EqualTo("unix"));
            Assert.That(client.Confidence, Is.GreaterThan(0).And.LessThanOrEqualTo(1));
            Assert.That(client.Process.HasUid && client.Process.Uid == 0, Is.True, client.ToString());
            Assert.That(client.Process.Pid, Is.GreaterThan(1));
            Assert.That(Path.GetFileName(client.Process.Exe), Does.StartWith("docker"));
            Assert.That(client.Process.Args, Does.Contain("build").Or.Contain("buildx"));
        });
    }

    private static void AssertEgress(BuildStep step, ScenarioCase scenario, string address)
    {
        Egress egress = step.Egress.Single(egress => egress.Address == address);
        Assert.Multiple(() =>
        {
            Assert.That(step.Index, Is.EqualTo(scenario.Index));
            Assert.That(step.Total, Is.EqualTo(scenario.Total));
            Assert.That(step.Network, Is.EqualTo(scenario.Network));
            Assert.That(egress.Port, Is.EqualTo(scenario.Port));
            Assert.That(egress.Protocol, Is.EqualTo(scenario.Protocol));
            Assert.That(scenario.Outcomes, Does.Contain(egress.Outcome));
            Assert.That(egress.Path, Is.EqualTo(scenario.Path));
            Assert.That(egress.Novelty, Is.EqualTo(Novelty.NeverSeen));
            Assert.That(egress.Process.Exe, Does.EndWith(scenario.Exe));
            Assert.That(egress.Process.Args, Is.Not.Empty);
            Assert.That(egress.Process.Pid, Is.GreaterThan(1));
        });
    }

    private static Finding AssertFinding(
        IReadOnlyList<Finding> findings, Build build, BuildStep step, ScenarioCase scenario, string address)
    {
        Finding[] never = [.. findings.Where(finding => finding.Detector == "never-seen-egress" && finding.Speaks(address))];
        Assert.That(never, Has.Length.EqualTo(1), "one build, one story");
        Assert.Multiple(() =>
        {
            Assert.That(never[0].BuildId, Is.EqualTo(build.Id));
            Assert.That(never[0].StepId, Is.EqualTo(step.Id));
            Assert.That(never[0].Severity, Is.GreaterThanOrEqualTo(scenario.AtLeast));
            Assert.That(never[0].Techniques.Select(technique => technique.TechniqueId), Does.Contain("T1612"));
            Assert.That(never[0].Message, Does.Contain(address));
            // Where what came down is a program, that is a story of its own.
            Assert.That(findings.Alerts().Select(finding => finding.Detector).Distinct(), Is.SubsetOf(["never-seen-egress", "downloaded-executable"]));
        });
        return never[0];
    }

    private void AssertImage(Build build, Finding finding, ScenarioCase scenario, Attack attack)
    {
        Assert.That(build.Result, Is.EqualTo(scenario.Result), build.ToString());
        if (scenario.Result != BuildResult.Succeeded)
        {
            Assert.That(build.Image?.Id ?? "", Is.Empty);
            return;
        }

        Assert.That(build.Image.Id, Does.StartWith("sha256:"));
        Assert.That(finding.ImageId, Is.EqualTo(build.Image.Id));
        if (scenario.Name == "untagged")
        {
            Assert.That(build.Image.Tags, Is.Empty);
            return;
        }

        Assert.That(build.Image.Tags, Has.Some.EndsWith(attack.Tag));
        Assert.That(build.Image.Id, Is.EqualTo(LabHost.Docker(engine, "image", "inspect", "--format", "{{.Id}}", attack.Tag)));
    }
}
