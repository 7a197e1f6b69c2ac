using ImageSentinel.Agent.Commands;
using ImageSentinel.Agent.Control;
using ImageSentinel.Agent.Lifetime;
using ImageSentinel.V1;
using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;

namespace ImageSentinel.Tests.Agent;

public sealed class ShellTests
{
    [Test]
    public async Task A_running_agent_answers_every_question()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        await agent.Say("attack.jsonl");

        (int status, string statusText, _) = await agent.Command("status");
        (int statusJson, string json, _) = await agent.Command("status", "--json");
        (_, string builds, _) = await agent.Command("builds");
        (_, string buildsJson, _) = await agent.Command("builds", "--json");
        (_, string findings, _) = await agent.Command("findings", "--severity", "high");
        (_, string none, _) = await agent.Command("findings", "--severity", "critical");
        (_, string ocsf, _) = await agent.Command("findings", "-o", "ocsf");
        (_, string falco, _) = await agent.Command("findings", "-o", "falco");
        (int explained, string story, _) = await agent.Command("explain", "f-01a2");

        using (Assert.EnterMultipleScope())
        {
            Assert.That((status, statusJson, explained), Is.EqualTo((0, 0, 0)));
            Assert.That(statusText, Does.Contain("1 high").And.Contain("1 seen, 0 running").And.Contain("conntrack"));
            Assert.That(Google.Protobuf.JsonParser.Default.Parse<GetStatusResponse>(json).Builds, Is.EqualTo(1));
            Assert.That(builds, Does.Contain("app:latest").And.Contain("suspicious"));
            Assert.That(Google.Protobuf.JsonParser.Default.Parse<OutputRecord>(buildsJson).Build.Id, Is.EqualTo("b-01"));
            Assert.That(findings, Does.Contain("f-01a2b3c4"));
            Assert.That(none, Is.EqualTo("no findings\n"));
            Assert.That(ocsf, Does.Contain("\"class_uid\":2004"));
            Assert.That(falco, Does.Contain("\"source\":\"imagesentinel\""));
            Assert.That(story, Does.Contain("requested by alice").And.Contain("came out: image app:latest"));
        }
    }

    [Test]
    public async Task Following_shows_what_was_and_what_comes_once_each()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        await agent.Say("attack.jsonl");
        using var client = new AgentClient(agent.Socket);
        using var call = client.Service.WatchFindings(new WatchFindingsRequest { Follow = true });

        Assert.That(await call.ResponseStream.MoveNext(CancellationToken.None), Is.True);
        string first = call.ResponseStream.Current.Finding.Uid;
        await agent.Say("hostile.jsonl");
        Assert.That(await call.ResponseStream.MoveNext(CancellationToken.None), Is.True);

        Assert.That((first, call.ResponseStream.Current.Finding.BuildId), Is.EqualTo(("f-01a2b3c4", "b-66")));
    }

    [Test]
    public async Task The_baseline_is_changed_through_the_socket()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        FakePipeline pipeline = await agent.Pipeline();
        pipeline.Known.Add(new KnownDestination { Destination = "203.0.113.7:443/tcp", Count = 3, Source = "seen" });

        (int approved, _, _) = await agent.Command("baseline", "approve", "203.0.113.9", "--reason", "mirror");
        (int refused, _, string why) = await agent.Command("baseline", "approve", "nonsense");
        (_, string shown, _) = await agent.Command("baseline", "show");
        string file = Path.Combine(agent.Folder, "export");
        (int exported, _, _) = await agent.Command("baseline", "export", "-o", file);
        (int imported, _, _) = await agent.Command("baseline", "import", file);
        (int forgot, _, _) = await agent.Command("baseline", "forget", "203.0.113.7:443/tcp");
        (int again, _, _) = await agent.Command("baseline", "forget", "203.0.113.7:443/tcp");

        using (Assert.EnterMultipleScope())
        {
            Assert.That((approved, refused, exported, imported, forgot, again), Is.EqualTo((0, 64, 0, 0, 0, 1)));
            Assert.That(why, Does.Contain("address:port"));
            Assert.That(shown, Does.Contain("203.0.113.7:443/tcp"));
            Assert.That(pipeline.Approved, Is.EqualTo(new[] { ("203.0.113.9", "mirror"), ("203.0.113.7:443/tcp", "imported from export") }));
        }
    }

    [Test]
    public async Task An_import_with_a_mistake_changes_nothing()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        string file = Path.Combine(agent.Folder, "export");
        await File.WriteAllTextAsync(file, "{\"destination\":\"203.0.113.7\"}\nnonsense\n");

        (int code, _, string error) = await agent.Command("baseline", "import", file);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.EqualTo(1));
            Assert.That(error, Does.Contain($"{file}:2"));
            Assert.That((await agent.Pipeline()).Approved, Is.Empty);
        }
    }

    [Test]
    public async Task An_unknown_uid_is_one_line()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();

        (int code, _, string error) = await agent.Command("explain", "f-99");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.EqualTo(1));
            Assert.That(error, Does.StartWith("imagesentinel: no finding has this uid"));
        }
    }

    [Test]
    public async Task Stopping_drains_the_pipeline_and_removes_the_socket()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        FakePipeline pipeline = await agent.Pipeline();
        pipeline.OnStop = () =>
        {
            pipeline.Writer.Write(new OutputRecord { Finding = new Finding { Uid = "the-last-word" } });
            return Task.CompletedTask;
        };

        ExitCode code = await agent.Stop();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.EqualTo(ExitCode.Success));
            Assert.That(pipeline.Stopped, Is.True);
            Assert.That(File.Exists(agent.Socket), Is.False);
            Assert.That(await File.ReadAllTextAsync(Path.Combine(agent.Folder, "out.json")), Does.Contain("the-last-word"));
        }
    }

    [Test]
    public async Task A_pipeline_that_ends_by_itself_is_a_failure()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();

        (await agent.Pipeline()).Die();

        Assert.That(await agent.Run, Is.EqualTo(ExitCode.Failure));
    }

    [Test]
    public async Task A_second_agent_is_refused_with_one_line()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        var second = new AgentShell(new RunRequest(agent.Options, () => throw new InvalidOperationException(), TextWriter.Null, false), agent, NullLoggerFactory.Instance);
        CommandException? refusal = null;
        try
        {
            await second.RunAsync(CancellationToken.None);
        }
        catch (CommandException e)
        {
            refusal = e;
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(refusal?.Code, Is.EqualTo(ExitCode.Failure));
            Assert.That(refusal?.Message, Does.StartWith($"another agent (pid {Environment.ProcessId})").And.Not.Contain("\n"));
            Assert.That(ControlSocket.IsAlive(agent.Socket), Is.True, "the first one goes on");
        }
    }

    [Test]
    public void A_live_socket_is_never_taken_over_and_a_stale_one_is()
    {
        string folder = Directory.CreateTempSubdirectory("imagesentinel-").FullName;
        try
        {
            string path = Path.Combine(folder, "a.sock");
            using (System.Net.Sockets.Socket live = ControlSocket.Bind(path))
            {
                live.Listen();
                Assert.That(() => ControlSocket.Bind(path), Throws.InstanceOf<CommandException>().With.Message.Contains("already answers"));

                // A socket that is closed in order takes its file along; one whose owner was killed leaves it behind.
                File.Move(path, path + ".kept");
            }

            File.Move(path + ".kept", path);

            Assert.That(File.Exists(path), Is.True, "a killed agent leaves its socket behind");
            using System.Net.Sockets.Socket next = ControlSocket.Bind(path);
            Assert.That(new FileInfo(path).UnixFileMode, Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Test]
    public void Something_else_at_the_sockets_path_is_left_alone()
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, "precious");

            Assert.That(() => ControlSocket.Bind(file), Throws.InstanceOf<CommandException>().With.Message.Contains("something else"));
            Assert.That(File.ReadAllText(file), Is.EqualTo("precious"));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Test]
    public void An_earlier_runs_unfinished_build_is_never_called_clean()
    {
        using var history = new AgentHistory();
        IReadOnlyList<Build> abandoned = history.Restore(
            [new Build { Id = "b-0", State = BuildState.Ended, Verdict = Verdict.Clean }, new Build { Id = "b-1", State = BuildState.Started, Verdict = Verdict.Clean }],
            [new Finding { Uid = "f-1", BuildId = "b-1", Severity = Severity.Low }]);
        var status = new GetStatusResponse();
        history.Describe(status);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(abandoned.Select(build => (build.Id, build.State, build.Verdict)), Is.EqualTo(new[] { ("b-1", BuildState.Ended, Verdict.Unknown) }));
            Assert.That(history.RecentBuilds(0).Select(build => build.Verdict), Is.EqualTo(new[] { Verdict.Clean, Verdict.Unknown }));
            Assert.That(status.BuildsActive, Is.Zero);
            Assert.That(history.Explain("f-1")?.Build.Notes, Has.Count.EqualTo(1));
        }
    }

    [Test]
    public void The_history_is_bounded_and_forgets_the_oldest()
    {
        using var history = new AgentHistory();
        for (int i = 0; i < AgentHistory.Findings + 10; i++)
        {
            history.Write([new OutputRecord { Finding = new Finding { Uid = $"f-{i}", Severity = Severity.Low } }]);
        }

        IReadOnlyList<Finding> kept = history.RecentFindings(0, Severity.Unspecified);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(kept, Has.Count.EqualTo(AgentHistory.Findings));
            Assert.That(kept[0].Uid, Is.EqualTo("f-10"));
            Assert.That(history.RecentFindings(2, Severity.Unspecified).Select(finding => finding.Uid), Is.EqualTo(new[] { $"f-{AgentHistory.Findings + 8}", $"f-{AgentHistory.Findings + 9}" }));
        }
    }

    [Test]
    public void A_follower_that_falls_behind_is_cut_off_and_told()
    {
        using var history = new AgentHistory();
        (_, System.Threading.Channels.ChannelReader<OutputRecord> coming, IDisposable subscription) = history.Follow();
        using (subscription)
        {
            for (int i = 0; i < 2000; i++)
            {
                history.Write([new OutputRecord { Finding = new Finding { Uid = $"f-{i}" } }]);
            }

            while (coming.TryRead(out _))
            {
            }

            Assert.That(async () => await coming.ReadAsync(), Throws.InstanceOf<System.Threading.Channels.ChannelClosedException>().Or.InstanceOf<InvalidOperationException>());
        }
    }
}
