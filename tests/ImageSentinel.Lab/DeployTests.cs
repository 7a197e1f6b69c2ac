using ImageSentinel.Lab.Harness;
using ImageSentinel.V1;

namespace ImageSentinel.Lab;

/// <summary>From the file a step left to the container that runs it, on a real engine.</summary>
[TestFixtureSource(typeof(LabHost), nameof(LabHost.Engines))]
internal sealed class DeployTests(string engine)
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
            _agent.Keep($"lab-deploy-{engine}");
        }

        _agent.Dispose();
        _collector.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [TestCase("deploy-cached", "buildkit", "-cached", Severity.High)]
    [TestCase("deploy-cached", "classic", "-cached", Severity.High)]
    [TestCase("deploy-multi-stage", "buildkit", "", Severity.High)]
    [TestCase("deploy-multi-stage", "classic", "", Severity.High)]
    [TestCase("deploy-loaded", "buildkit", "-renamed", Severity.High)]
    [TestCase("deploy-loaded", "classic", "-renamed", Severity.High)]
    [TestCase("deploy-derived", "buildkit", "-top", Severity.High)]
    [TestCase("deploy-derived", "classic", "-top", Severity.High)]
    [TestCase("deploy-beacon", "buildkit", "", Severity.Critical)]
    [TestCase("deploy-beacon", "classic", "", Severity.Critical)]
    public async Task Container_of_a_bad_build_is_told_with_that_builds_story(string scenario, string builder, string suffix, Severity severity)
    {
        Attack attack = LabHost.Attack(scenario, engine, builder);
        Finding finding = await FindingAsync("tainted-image-deployed", f => f.Evidence.Any(e => e.Container?.Image == attack.Tag + suffix));

        Assert.Multiple(() =>
        {
            Assert.That(finding.Severity, Is.EqualTo(severity));
            Assert.That(finding.Message, Does.Contain(attack.Address).And.Contains("The same client asked for the build and the container."));
            Assert.That(finding.Techniques.Select(t => t.TechniqueId), Is.SupersetOf(new[] { "T1610", "T1612" }));
            Assert.That(finding.ContainerId, Has.Length.EqualTo(64));
        });
    }

    [TestCaseSource(typeof(ScenarioTable), nameof(ScenarioTable.Builders))]
    public async Task Program_that_a_step_fetched_and_ran_is_critical(string builder)
    {
        Attack attack = LabHost.Attack("download-and-run", engine, builder);
        Finding finding = await FindingAsync("downloaded-executable", f => f.Speaks(attack.Address) && f.Severity == Severity.Critical);

        FileArtifact file = finding.Evidence.Select(e => e.File).First(f => f is not null);
        Assert.Multiple(() =>
        {
            Assert.That(file.Path, Is.EqualTo("/usr/bin/tool"));
            Assert.That(file.Kind, Is.EqualTo(FileKind.Elf));
            Assert.That(file.Executed, Is.True);
            Assert.That(file.Sha256, Has.Length.EqualTo(64));
            Assert.That(file.Process.Exe, Does.EndWith("/curl"));
        });
    }

    [TestCaseSource(typeof(ScenarioTable), nameof(ScenarioTable.Builders))]
    public async Task What_would_persist_is_told_by_kind(string builder)
    {
        Attack attack = LabHost.Attack("persistence", engine, builder);
        Finding finding = await FindingAsync("persistence-write", f => f.Message.Contains(attack.Tag, StringComparison.Ordinal) && f.Evidence.Count == 3);

        Assert.That(finding.Severity, Is.EqualTo(Severity.High));
        Assert.That(
            finding.Evidence.Select(e => e.File.Path),
            Is.EquivalentTo(new[] { "/etc/cron.d/update", "/root/.ssh/authorized_keys", "/etc/ld.so.preload" }));
    }

    private Task<Finding> FindingAsync(string detector, Func<Finding, bool> wanted)
        => Wait.ForAsync($"a finding of {detector}", async () => (await _collector.FindingsAsync()).LastOrDefault(f => f.Detector == detector && wanted(f)));
}
