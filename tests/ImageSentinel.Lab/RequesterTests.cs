using ImageSentinel.Lab.Harness;
using ImageSentinel.V1;

namespace ImageSentinel.Lab;

/// <summary>Who asked, by every way in, on a real engine that listens over plain TCP. Uid 1000 may build, nobody else.</summary>
[TestFixtureSource(typeof(LabHost), nameof(LabHost.Engines))]
internal sealed class PlainRequesterTests(string engine) : RequesterTests(engine, "tcp")
{
    public static IEnumerable<TestCaseData> Cases() => RequesterTable.Cases("tcp");

    [TestCaseSource(nameof(Cases))]
    public Task The_requester_is_named_with_what_is_known_of_it(string builder, object row) => Holds(builder, (RequesterCase)row);

    [TestCase("commit", Builder.Commit, Severity.High, "commit")]
    [TestCase("import", Builder.Import, Severity.Medium, "import")]
    [TestCase("load-unknown", Builder.Load, Severity.Medium, "load")]
    public async Task An_image_without_a_build_is_told_with_its_way_in_and_who_asked(string scenario, Builder builder, Severity severity, string verb)
    {
        Attack attack = LabHost.Attack(scenario, Engine, "buildkit");
        Build build = await EndedAsync(build => build.Wears(attack.Tag) && build.Builder == builder);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(build.Clients[0].Process?.Args, Does.Contain(verb), build.ToString());
            Assert.That(Of(build, "image-without-build")?.Severity, Is.EqualTo(severity));
        }
    }

    [Test]
    public async Task Many_images_by_one_client_are_a_burst()
    {
        Attack attack = LabHost.Attack("image-burst", Engine, "buildkit");
        Build last = await EndedAsync(build => build.Wears(attack.Tag + "-14"));

        await Wait.UntilAsync("the burst", () => Agent.Records().Any(r => r.Finding is { Detector: "image-burst", Severity: Severity.Medium }));
        Assert.That(last.Builder, Is.EqualTo(Builder.Import));
    }

    [Test]
    public async Task An_open_listener_is_told_once()
    {
        await Wait.UntilAsync("the posture finding", () => Agent.Records().Any(r => r.Finding?.Detector == "posture-api-tcp"));
        Finding[] told = [.. Agent.Records().Where(r => r.Finding?.Detector == "posture-api-tcp").Select(r => r.Finding)];
        ToolResult posture = Agent.Command("posture", "--json", "--fail-on", "critical");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(told, Has.Length.EqualTo(1));
            Assert.That(told[0].Severity, Is.EqualTo(Severity.Critical));
            Assert.That(told[0].Message, Does.Contain(LabHost.Describe(Engine)["LAB_API"]));
            Assert.That(told[0].Mitigations.Select(m => m.MitigationId), Does.Contain("M1035"));
            Assert.That(posture.ExitCode, Is.EqualTo(10), posture.All);
        }
    }
}

/// <summary>The same over TLS with client certificates.</summary>
[TestFixtureSource(typeof(LabHost), nameof(LabHost.Engines))]
internal sealed class TlsRequesterTests(string engine) : RequesterTests(engine, "tls")
{
    public static IEnumerable<TestCaseData> Cases() => RequesterTable.Cases("tls");

    [TestCaseSource(nameof(Cases))]
    public Task The_requester_is_named_with_what_is_known_of_it(string builder, object row) => Holds(builder, (RequesterCase)row);
}

internal abstract class RequesterTests(string engine, string listener)
{
    private string _folder = "";

    protected string Engine { get; } = engine;

    protected AgentUnderTest Agent { get; private set; } = null!;

    [OneTimeSetUp]
    public async Task Start()
    {
        LabHost.Listen(Engine, listener);
        _folder = Directory.CreateTempSubdirectory("imagesentinel-test-").FullName;
        Agent = new AgentUnderTest(
            _folder, [LabHost.Describe(Engine)["LAB_SOCKET"]], null, policy: "trusted_clients: [{uid: 1000}]\n  new_image_threshold: 10");
        await Agent.StartAsync();
    }

    [OneTimeTearDown]
    public void Stop()
    {
        if (TestContext.CurrentContext.Result.FailCount > 0)
        {
            Agent.Keep($"requester-{Engine}-{listener}");
        }

        Agent.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    protected async Task Holds(string builder, RequesterCase row)
    {
        Attack attack = LabHost.Attack(row.Name, Engine, builder);
        Build build = await EndedAsync(build => build.Builder is Builder.Buildkit or Builder.Classic && build.IsOf(attack));
        await Wait.UntilAsync("the finding of the step's egress", () => Of(build, "never-seen-egress") is not null);
        BuildClient client = build.Clients[0];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(client.Transport, Is.EqualTo(row.Transport));
            Assert.That(client.Address, Is.EqualTo(row.Address));
            Assert.That(client.Port, row.Address.Length > 0 ? Is.GreaterThan(0) : Is.Zero);
            Assert.That(client.Confidence, Is.EqualTo(1), build.ToString());
            Assert.That(Path.GetFileName(client.Process?.Exe ?? ""), row.Exe.Length > 0 ? Does.StartWith(row.Exe) : Is.Empty);
            Assert.That(client.Process?.Uid ?? row.Uid, Is.EqualTo(row.Uid));
            Assert.That(client.Process?.ContainerId ?? "", row.InContainer ? Is.Not.Empty : Is.Empty);
            Assert.That(client.Origin, Does.Contain(row.Origin));
            Assert.That(Of(build, "build-by-unexpected-client")?.Severity ?? Severity.Unspecified, Is.EqualTo(row.Severity));
            Assert.That(Of(build, "never-seen-egress")?.Severity, Is.EqualTo(row.Egress));
            Assert.That(Of(build, "builder-in-container") is not null, Is.EqualTo(row.InContainer));
        }
    }

    protected async Task<Build> EndedAsync(Func<Build, bool> match)
    {
        Build found = await Wait.ForAsync(
            "the build's last record",
            () => Agent.Records().LastOrDefault(r => r.Build is { State: BuildState.Ended } build && match(build))?.Build);

        // What comes within a moment of the end (the image's name, the last word on the client) is the record's too.
        await Task.Delay(TimeSpan.FromSeconds(1.5));
        return Agent.Records().Last(r => r.Build?.Id == found.Id).Build;
    }

    protected Finding? Of(Build build, string detector)
        => Agent.Records().LastOrDefault(r => r.Finding is { } finding && finding.BuildId == build.Id && finding.Detector == detector)?.Finding;
}
