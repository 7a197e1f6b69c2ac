using System.Net.Sockets;
using ImageSentinel.Lab.Harness;
using ImageSentinel.V1;

namespace ImageSentinel.Lab;

/// <summary>What goes wrong on hosts. Each test has an agent and a collector of its own.</summary>
internal sealed class BadDayTests
{
    private static readonly string _engine = LabHost.Engines[0];

    private string _folder = "";
    private string[] _rulesBefore = [];
    private CollectorUnderTest _collector = null!;
    private AgentUnderTest _agent = null!;

    [SetUp]
    public void Prepare()
    {
        _rulesBefore = AuditRules.List();
        _folder = Directory.CreateTempSubdirectory("imagesentinel-test-").FullName;
        _collector = new CollectorUnderTest(Path.Combine(_folder, "collector"));
        _agent = NewAgent("agent", LabHost.Describe(_engine)["LAB_SOCKET"]);
    }

    [TearDown]
    public void Clean()
    {
        if (TestContext.CurrentContext.Result.Outcome.Status == NUnit.Framework.Interfaces.TestStatus.Failed)
        {
            _agent.Keep(TestContext.CurrentContext.Test.MethodName!);
        }

        _agent.Dispose();
        _collector.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Test]
    public async Task Stopped_agent_leaves_no_audit_rule_behind()
    {
        await _agent.StartAsync();
        Assert.That(AuditRules.List().Except(_rulesBefore), Is.Not.Empty, "it had rules while it ran");

        Assert.That(_agent.Stop(), Is.Zero, _agent.Printed);
        Assert.That(AuditRules.List(), Is.SubsetOf(_rulesBefore));
    }

    [Test]
    public async Task Agent_killed_in_the_middle_of_a_build_admits_it_after_its_restart()
    {
        await _collector.StartAsync();
        await _agent.StartAsync();
        Attack attack = Attack.Next("slow", _engine, "buildkit");
        Task build = Task.Run(() => LabHost.Run(attack));
        await Wait.UntilAsync("the build's first step", () => _agent.Records().Any(record => record.Build?.Steps.Any(IsSlow) == true));
        string first = _agent.Records().Last(record => record.Build?.Steps.Any(IsSlow) == true).Build.Id;
        _agent.Kill();
        await _agent.StartAsync();

        Build closed = await _collector.EndedBuildAsync(first, build => build.Id == first);
        await Wait.UntilAsync("the first build's end in the lines", () => _agent.Records().Last(record => record.Build?.Id == first).Build.State == BuildState.Ended);
        Assert.Multiple(() =>
        {
            Assert.That(closed.Verdict, Is.Not.EqualTo(Verdict.Clean));
            Assert.That(closed.Notes, Has.Some.Contains("the agent stopped"));
        });
        await build;

        Build told = await _collector.EndedBuildAsync(attack.Tag, build => build.Id != first && build.IsOf(attack));
        Assert.Multiple(() =>
        {
            Assert.That(told.Verdict, Is.Not.EqualTo(Verdict.Clean), "part of it was not seen");
            Assert.That(told.AllEgress().Select(egress => egress.Address), Does.Contain(attack.Address), told.ToString());
        });

        // The killed one's rules are taken over, not doubled, and go with its successor.
        Assert.That(_agent.Stop(), Is.Zero, _agent.Printed);
        Assert.That(AuditRules.List(), Is.SubsetOf(_rulesBefore));
    }

    [Test]
    public async Task Agent_stopped_in_the_middle_of_a_build_tells_its_end_as_unknown()
    {
        await _collector.StartAsync();
        await _agent.StartAsync();
        Attack attack = Attack.Next("slow", _engine, "buildkit");
        Task build = Task.Run(() => LabHost.Run(attack));
        await Wait.UntilAsync("the build's first step", () => _agent.Records().Any(record => record.Build?.Steps.Any(IsSlow) == true));
        string id = _agent.Records().Last(record => record.Build?.Steps.Any(IsSlow) == true).Build.Id;

        Assert.That(_agent.Stop(), Is.Zero, _agent.Printed);
        Build last = _agent.Records().Last(record => record.Build?.Id == id).Build;
        Assert.That(last.State, Is.EqualTo(BuildState.Ended));

        // What the collector had not acknowledged at the stop, the next start tells it.
        await _agent.StartAsync();
        Build told = await _collector.EndedBuildAsync(id, build => build.Id == id);
        await build;
        Assert.Multiple(() =>
        {
            Assert.That((last.State, told.State), Is.EqualTo((BuildState.Ended, BuildState.Ended)));
            Assert.That(told.Verdict, Is.Not.EqualTo(Verdict.Clean));
            Assert.That(told.Notes, Has.Some.Contains("the agent stopped"));
        });
    }

    [Test]
    public async Task Collector_that_was_down_at_the_start_gets_everything_once()
    {
        await _agent.StartAsync();
        Attack attack = LabHost.Attack("http-get", _engine, "buildkit");
        await Wait.UntilAsync("the finding", () => _agent.Records().Any(record => record.Finding?.Speaks(attack.Address) == true));
        await Wait.UntilAsync("the build's end", () => _agent.Records().Any(record => record.Build is { State: BuildState.Ended } build && build.IsOf(attack)));
        await _collector.StartAsync();

        await AssertToldOnce(attack);
    }

    [Test]
    public async Task Collector_that_is_killed_and_comes_back_has_everything_once()
    {
        await _collector.StartAsync();
        await _agent.StartAsync();
        Attack before = LabHost.Attack("http-get", _engine, "buildkit");
        await _collector.EndedBuildAsync(before.Tag, build => build.IsOf(before));
        _collector.Kill();
        Attack meanwhile = LabHost.Attack("http-get", _engine, "classic");
        await Wait.UntilAsync("the build's end", () => _agent.Records().Any(record => record.Build is { State: BuildState.Ended } build && build.IsOf(meanwhile)));
        await _collector.StartAsync();

        await AssertToldOnce(before);
        await AssertToldOnce(meanwhile);
    }

    [Test]
    public async Task Second_agent_on_the_same_state_says_so_and_ends_and_the_first_goes_on()
    {
        await _collector.StartAsync();
        await _agent.StartAsync();
        using var second = new ProgramUnderTest("imagesentinel", "run", "--config", _agent.Configuration);

        Assert.That(second.WaitForExit(), Is.EqualTo(1), second.Printed);
        AssertOneLine(second.Printed);

        Attack attack = LabHost.Attack("http-get", _engine, "buildkit");
        await AssertToldOnce(attack);
    }

    [Test]
    public void Unknown_key_is_a_configuration_error_that_names_file_line_and_key()
    {
        File.AppendAllText(_agent.Configuration, "\noutputz: {}\n");
        int line = File.ReadAllLines(_agent.Configuration).TakeWhile(text => text != "outputz: {}").Count() + 1;
        using var agent = new ProgramUnderTest("imagesentinel", "run", "--config", _agent.Configuration);

        Assert.That(agent.WaitForExit(), Is.EqualTo(78), agent.Printed);
        AssertOneLine(agent.Printed);
        Assert.That(agent.Printed, Does.Contain($"imagesentinel.yaml:{line}").And.Contain("outputz"));
        Assert.That(AuditRules.List(), Is.SubsetOf(_rulesBefore));
    }

    [Test]
    public async Task Socket_that_is_not_Dockers_is_told_and_nothing_is_claimed()
    {
        string path = Path.Combine(_folder, "other.sock");
        using var other = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        other.Bind(new UnixDomainSocketEndPoint(path));
        other.Listen();
        Task answering = AnswerNonsense(other);

        AgentUnderTest agent = NewAgent("strange", path);
        using var program = new ProgramUnderTest("imagesentinel", "run", "--config", agent.Configuration);
        await Wait.UntilAsync("a word about the socket", () => program.HasExited || agent.Records().Any(record => record.Coverage is not null));
        if (program.HasExited)
        {
            Assert.That(program.WaitForExit(), Is.Not.Zero);
            AssertOneLine(program.Printed);
            Assert.That(program.Printed, Does.Contain(path));
        }
        else
        {
            SensorCoverage engine = agent.Records().First(record => record.Coverage is not null).Coverage.Sensors.Single(sensor => sensor.Sensor == "engine");
            Assert.That(engine.State, Is.Not.EqualTo(SensorState.Active), engine.ToString());
            Assert.That(engine.Reason, Is.Not.Empty);
            program.Stop();
        }

        other.Close();
        await answering;
        Assert.That(AuditRules.List(), Is.SubsetOf(_rulesBefore));
    }

    private AgentUnderTest NewAgent(string name, string socket)
        => new(Path.Combine(_folder, name), [socket], _collector.Url);

    private async Task AssertToldOnce(Attack attack)
    {
        Build build = await _collector.EndedBuildAsync(attack.Tag, build => build.IsOf(attack));
        Finding finding = await _collector.FindingAsync(build, attack.Address);
        OutputRecord[] lines = [.. _agent.Records().Where(record => record.Finding?.Uid == finding.Uid)];
        IReadOnlyList<Finding> activities = await _collector.ActivitiesAsync(finding.Uid);
        Assert.That(activities, Has.Count.EqualTo(lines.Length), "every state of the finding that was written, once");
    }

    private static bool IsSlow(BuildStep step) => step.Instruction.Contains("echo slow", StringComparison.Ordinal);

    private static void AssertOneLine(string printed)
        => Assert.That(printed.Split('\n', StringSplitOptions.RemoveEmptyEntries), Has.Length.EqualTo(1), printed);

    private static async Task AnswerNonsense(Socket listener)
    {
        try
        {
            while (true)
            {
                using Socket client = await listener.AcceptAsync();
                await client.SendAsync("220 mail.example ESMTP\r\n"u8.ToArray());
            }
        }
        catch (SocketException)
        {
            // The test is over.
        }
        catch (ObjectDisposedException)
        {
            // The test is over.
        }
    }
}
