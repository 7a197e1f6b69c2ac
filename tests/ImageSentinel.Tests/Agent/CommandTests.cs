using System.Collections.Immutable;
using ImageSentinel.Agent.Commands;
using ImageSentinel.Agent.Options;
using ImageSentinel.V1;
using NUnit.Framework;

namespace ImageSentinel.Tests.Agent;

public sealed class CommandTests
{
    private string _folder = "";

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("imagesentinel-").FullName;

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    [TestCase("nonsense")]
    [TestCase("status --nonsense")]
    [TestCase("findings -o xml")]
    [TestCase("findings --severity terrible")]
    [TestCase("explain")]
    [TestCase("baseline")]
    [TestCase("baseline approve")]
    [TestCase("builds -n many")]
    [TestCase("")]
    public async Task Wrong_usage_exits_64_and_says_where_help_is(string line)
    {
        (int code, _, string error) = await InProcess.RunAsync(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.EqualTo(64));
            Assert.That(error, Does.Contain("--help"));
        }
    }

    [TestCase("status")]
    [TestCase("builds")]
    [TestCase("builds -f")]
    [TestCase("findings --follow -o json")]
    [TestCase("explain f-01")]
    [TestCase("baseline show")]
    [TestCase("baseline approve 203.0.113.7")]
    [TestCase("baseline forget 203.0.113.7")]
    [TestCase("baseline export")]
    public async Task Without_an_agent_commands_exit_69_with_one_line(string line)
    {
        string socket = Path.Combine(_folder, "none.sock");

        (int code, string output, string error) = await InProcess.RunAsync([.. line.Split(' '), "--socket", socket]);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.EqualTo(69));
            Assert.That(output, Is.Empty);
            Assert.That(error.TrimEnd('\n').Split('\n'), Has.Length.EqualTo(1));
            Assert.That(error, Does.Contain(socket).And.Contain("imagesentinel run"));
        }
    }

    [TestCase("config check")]
    [TestCase("config show")]
    [TestCase("status")]
    public async Task A_bad_configuration_exits_78_and_names_every_mistake(string line)
    {
        string file = Write("bad.yaml", "state_dirr: /x\npolicy: {time_window: 5}\n");

        (int code, _, string error) = await InProcess.RunAsync([.. line.Split(' '), "--config", file]);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.EqualTo(78));
            Assert.That(error, Does.Contain($"{file}:1: unknown key \"state_dirr\"").And.Contain($"{file}:2: policy.time_window"));
        }
    }

    [Test]
    public async Task A_named_configuration_that_is_missing_exits_78()
    {
        (int code, _, string error) = await InProcess.RunAsync("config", "check", "--config", Path.Combine(_folder, "none.yaml"));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.EqualTo(78));
            Assert.That(error, Does.Contain("no such file"));
        }
    }

    [Test]
    public async Task A_good_configuration_is_ok()
    {
        string file = Write("good.yaml", "state_dir: /x\n");

        (int code, string output, string error) = await InProcess.RunAsync("config", "check", "-c", file);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.Zero);
            Assert.That(output, Is.EqualTo($"ok: {file}\n"));
            Assert.That(error, Is.Empty);
        }
    }

    [Test]
    public async Task The_schema_is_json()
    {
        (int code, string output, _) = await InProcess.RunAsync("config", "schema");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.Zero);
            Assert.That(() => System.Text.Json.JsonDocument.Parse(output), Throws.Nothing);
        }
    }

    [Test]
    public async Task Version_is_name_and_number()
    {
        (int code, string output, _) = await InProcess.RunAsync("--version");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.Zero);
            Assert.That(output, Does.Match("^imagesentinel [0-9]+\\.[0-9]+\\.[0-9]+\n$"));
        }
    }

    [TestCase("", 0)]
    [TestCase("--fail-on critical", 0)]
    [TestCase("--fail-on high", 10)]
    [TestCase("--fail-on LOW", 10)]
    public async Task Replay_exits_10_when_a_finding_is_bad_enough(string options, int expected)
    {
        string capture = Write("capture", "");

        (int code, string output, _) = await InProcess.RunAsync(
            ["replay", capture, .. options.Split(' ', StringSplitOptions.RemoveEmptyEntries)],
            context => context with { Replay = new ScriptedReplay() });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.EqualTo(expected));
            Assert.That(output, Does.Contain("never-seen-egress").And.Contain("app:latest"));
        }
    }

    [Test]
    public async Task Replay_as_json_is_the_output_stream()
    {
        (_, string output, _) = await InProcess.RunAsync(["replay", Write("capture", ""), "-o", "json"], context => context with { Replay = new ScriptedReplay() });

        Assert.That(
            output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => Google.Protobuf.JsonParser.Default.Parse<OutputRecord>(line)),
            Is.EqualTo(AgentCorpus.Records("attack.jsonl")));
    }

    [Test]
    public async Task A_capture_that_is_missing_is_one_line()
    {
        (int code, _, string error) = await InProcess.RunAsync(["replay", Path.Combine(_folder, "none")], context => context with { Replay = new ScriptedReplay() });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.EqualTo(1));
            Assert.That(error, Does.Match("^imagesentinel: .*/none: there is no such file\n$"));
        }
    }

    [Test]
    public async Task The_demo_tells_the_story_of_the_worst_finding()
    {
        (int code, string output, _) = await InProcess.RunAsync(
            ["demo"],
            context => context with { Replay = new ScriptedReplay(), OpenDemo = () => Stream.Null });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.Zero);
            Assert.That(output, Does.Contain("requested by alice").And.Contain("203.0.113.66:80/tcp").And.Contain("what to do"));
        }
    }

    [TestCase(DoctorResult.Ok, 0)]
    [TestCase(DoctorResult.Warning, 0)]
    [TestCase(DoctorResult.Failure, 1)]
    public async Task The_doctor_fails_when_something_would_not_run(DoctorResult result, int expected)
    {
        var doctor = new ScriptedDoctor([new DoctorCheck("audit netlink", result, "somebody \u001b[2J owns it", "systemctl stop auditd")]);
        string file = Write("good.yaml", "");

        (int code, string output, _) = await InProcess.RunAsync(["doctor", "-c", file], context => context with { Doctor = doctor });
        (_, string json, _) = await InProcess.RunAsync(["doctor", "-c", file, "--json"], context => context with { Doctor = doctor });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.EqualTo(expected));
            Assert.That(output, Does.Contain("systemctl stop auditd").And.Not.Contain("\u001b"));
            Assert.That(System.Text.Json.JsonDocument.Parse(json).RootElement.GetProperty("subject").GetString(), Is.EqualTo("audit netlink"));
        }
    }

    [Test]
    public async Task A_doctor_without_privileges_says_so_with_its_exit_code()
    {
        var doctor = new ScriptedDoctor([new DoctorCheck(DoctorCheck.Privileges, DoctorResult.Failure, "missing", ""), new DoctorCheck("audit", DoctorResult.Failure, "off", "")]);

        (int code, _, _) = await InProcess.RunAsync(["doctor", "-c", Write("good.yaml", "")], context => context with { Doctor = doctor });

        Assert.That(code, Is.EqualTo(77));
    }

    [Test]
    public async Task What_nobody_foresaw_is_one_line_and_no_stack_trace()
    {
        var doctor = new FailingDoctor(new TypeInitializationException("Sqlite", new DllNotFoundException("no libe_sqlite3\nhere")));

        (int code, _, string errors) = await InProcess.RunAsync(["doctor", "-c", Write("good.yaml", "")], context => context with { Doctor = doctor });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.EqualTo(1));
            Assert.That(errors, Does.StartWith("imagesentinel: unexpected DllNotFoundException: no libe_sqlite3").And.Not.Contain("   at "));
            Assert.That(errors.TrimEnd('\n'), Does.Not.Contain("\n"));
        }
    }

    [TestCase("http://10.0.0.5:4317")]
    [TestCase("http://collector.example:4317")]
    public async Task A_collector_across_the_network_without_TLS_is_a_configuration_error(string url)
    {
        string file = Write("bad.yaml", $"outputs:\n  collector:\n    url: {url}\n");

        (int code, _, string errors) = await InProcess.RunAsync(["config", "check", "-c", file], context => context);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.EqualTo(78));
            Assert.That(errors, Does.Contain("bad.yaml:3").And.Contain("outputs.collector.url").And.Contain("https://"));
        }
    }

    private string Write(string name, string text)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, text);
        return path;
    }

    private sealed class ScriptedDoctor(ImmutableArray<DoctorCheck> checks) : IDoctor
    {
        public ImmutableArray<DoctorCheck> Examine(AgentOptions options) => checks;
    }

    private sealed class FailingDoctor(Exception error) : IDoctor
    {
        public ImmutableArray<DoctorCheck> Examine(AgentOptions options) => throw error;
    }

    private sealed class ScriptedReplay : IReplayRunner
    {
        public Task<ReplaySummary> RunAsync(Stream capture, string name, AgentOptions options, Action<OutputRecord> emit, CancellationToken cancellation)
        {
            foreach (OutputRecord record in AgentCorpus.Records("attack.jsonl"))
            {
                emit(record);
            }

            return Task.FromResult(new ReplaySummary(3, TimeSpan.FromSeconds(5), Truncated: false));
        }
    }
}
