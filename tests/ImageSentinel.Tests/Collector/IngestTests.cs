using Grpc.Core;
using Grpc.Net.Client;
using ImageSentinel.V1;
using NUnit.Framework;

namespace ImageSentinel.Tests.Collector;

public sealed class IngestTests
{
    private string _state = "";
    private CollectorHarness _collector = null!;
    private GrpcChannel _channel = null!;

    [SetUp]
    public async Task Start()
    {
        _state = Directory.CreateTempSubdirectory("imagesentinel-collector-").FullName;
        _collector = await CollectorHarness.StartAsync(_state);
        _channel = _collector.Channel();
    }

    [TearDown]
    public async Task Stop()
    {
        _channel.Dispose();
        await _collector.DisposeAsync();
        Directory.Delete(_state, recursive: true);
    }

    [Test]
    public async Task A_batch_is_acknowledged_through_its_highest_sequence_and_can_be_read_back()
    {
        await using var agent = new AgentStream(_channel);
        ulong greeted = await agent.SayAsync(AgentStream.Hello());
        ulong acked = await agent.SayAsync(AgentStream.Build(1, "b1"), AgentStream.Finding(2, "f1", buildId: "b1"));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(greeted, Is.Zero);
            Assert.That(acked, Is.EqualTo(2));
            Assert.That(_collector.Reader.Builds(10).Select(build => build.Id), Is.EqualTo(new[] { "b1" }));
            Assert.That(_collector.Reader.Finding("f1")!.Host.HostId, Is.EqualTo("host-1"));
        }
    }

    [Test]
    public async Task The_same_batch_again_changes_nothing()
    {
        await using var agent = new AgentStream(_channel);
        await agent.SayAsync(AgentStream.Hello());
        SpooledRecord[] batch = [AgentStream.Finding(1, "f1"), AgentStream.Finding(2, "f1", activity: Activity.Update), AgentStream.Build(3, "b1")];
        await agent.SayAsync(batch);
        ulong again = await agent.SayAsync(batch);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(again, Is.EqualTo(3));
            Assert.That(_collector.Reader.Findings(10), Has.Count.EqualTo(1));
            Assert.That(_collector.Reader.Activities("f1").Select(state => state.Activity), Is.EqualTo(new[] { Activity.Create, Activity.Update }));
            Assert.That(_collector.Reader.Builds(10), Has.Count.EqualTo(1));
        }
    }

    [Test]
    public async Task An_older_record_that_comes_late_is_kept_but_does_not_replace_the_newer_one()
    {
        await using var agent = new AgentStream(_channel);
        await agent.SayAsync(AgentStream.Hello());
        await agent.SayAsync(AgentStream.Build(7, "b1", Verdict.Malicious), AgentStream.Finding(8, "f1", Severity.Critical, Activity.Update));
        await agent.SayAsync(AgentStream.Build(3, "b1", Verdict.Clean), AgentStream.Finding(4, "f1", Severity.Low));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_collector.Reader.Build("b1")!.Verdict, Is.EqualTo(Verdict.Malicious));
            Assert.That(_collector.Reader.Finding("f1")!.Severity, Is.EqualTo(Severity.Critical));
            Assert.That(_collector.Reader.Activities("f1").Select(state => state.Severity), Is.EqualTo(new[] { Severity.Low, Severity.Critical }));
        }
    }

    [Test]
    public async Task A_new_spool_of_the_same_host_speaks_later_than_the_old_one_whatever_its_sequences()
    {
        await using (var old = new AgentStream(_channel))
        {
            await old.SayAsync(AgentStream.Hello("old"));
            await old.SayAsync(AgentStream.Build(500, "b1", Verdict.Suspicious));
        }

        await using var fresh = new AgentStream(_channel);
        await fresh.SayAsync(AgentStream.Hello("fresh"));
        await fresh.SayAsync(AgentStream.Build(1, "b1", Verdict.Malicious));

        Assert.That(_collector.Reader.Build("b1")!.Verdict, Is.EqualTo(Verdict.Malicious));
    }

    [Test]
    public async Task Another_spool_may_say_more_of_a_build_and_never_less()
    {
        await using (var agent = new AgentStream(_channel))
        {
            await agent.SayAsync(AgentStream.Hello("own"));
            await agent.SayAsync(AgentStream.Build(1, "b1", Verdict.Malicious), AgentStream.Build(2, "b2", Verdict.Unknown), AgentStream.Finding(3, "f1", Severity.High));
        }

        await using var stranger = new AgentStream(_channel);
        await stranger.SayAsync(AgentStream.Hello("stranger"));
        await stranger.SayAsync(
            AgentStream.Build(900, "b1", Verdict.Clean),
            AgentStream.Build(901, "b2", Verdict.Suspicious),
            AgentStream.Finding(902, "f1", Severity.Low, Activity.Update),
            AgentStream.Finding(903, "f1", Severity.Critical, Activity.Close));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_collector.Reader.Build("b1")!.Verdict, Is.EqualTo(Verdict.Malicious));
            Assert.That(_collector.Reader.Build("b2")!.Verdict, Is.EqualTo(Verdict.Suspicious), "UNKNOWN is less than SUSPICIOUS");
            Assert.That(_collector.Reader.Finding("f1")!.Activity, Is.EqualTo(Activity.Create));
            Assert.That(_collector.Reader.Activities("f1"), Has.Count.EqualTo(1));
            Assert.That(_collector.Reader.Counter("conflicts"), Is.EqualTo(3));
        }
    }

    [Test]
    public async Task Two_hosts_with_the_same_uid_and_the_same_spool_name_do_not_touch_each_other()
    {
        await using var first = new AgentStream(_channel);
        await using var second = new AgentStream(_channel);
        await first.SayAsync(AgentStream.Hello(host: "host-1"));
        await second.SayAsync(AgentStream.Hello(host: "host-2"));
        await first.SayAsync(AgentStream.Finding(1, "f1", Severity.Critical));
        await second.SayAsync(AgentStream.Finding(1, "f1", Severity.Low));

        Assert.That(
            _collector.Reader.Findings(10).Select(finding => (finding.Host.HostId, finding.Severity)),
            Is.EquivalentTo(new[] { ("host-1", Severity.Critical), ("host-2", Severity.Low) }));
    }

    [Test]
    public async Task After_a_restart_the_greeting_tells_what_is_stored_already()
    {
        await using (var agent = new AgentStream(_channel))
        {
            await agent.SayAsync(AgentStream.Hello());
            await agent.SayAsync(AgentStream.Build(41, "b1"));
        }

        await _collector.DisposeAsync();
        _channel.Dispose();
        _collector = await CollectorHarness.StartAsync(_state);
        _channel = _collector.Channel();
        await using var again = new AgentStream(_channel);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(await again.SayAsync(AgentStream.Hello()), Is.EqualTo(41));
            Assert.That(_collector.Reader.Build("b1"), Is.Not.Null);
        }
    }

    [Test]
    public async Task A_newer_stream_of_a_spool_ends_the_older_one()
    {
        await using var older = new AgentStream(_channel);
        await older.SayAsync(AgentStream.Hello());
        await using var newer = new AgentStream(_channel);
        await newer.SayAsync(AgentStream.Hello());

        Assert.That(
            async () => await older.SayAsync(AgentStream.Build(1, "b1")),
            Throws.InstanceOf<RpcException>().With.Property(nameof(RpcException.StatusCode)).EqualTo(StatusCode.Aborted));
        Assert.That(await newer.SayAsync(AgentStream.Build(2, "b1")), Is.EqualTo(2));
    }

    private static IEnumerable<TestCaseData> Refusals()
    {
        AgentHello hello = AgentStream.Hello();
        yield return Case("batch before hello", StatusCode.InvalidArgument, new PublishFindingsRequest { Batch = AgentStream.Batch(AgentStream.Build(1, "b")) });
        yield return Case("empty first message", StatusCode.InvalidArgument, new PublishFindingsRequest());
        yield return Case("hello without host", StatusCode.InvalidArgument, new PublishFindingsRequest { Hello = new AgentHello { SpoolId = "s" } });
        yield return Case("hello with a host id of control characters", StatusCode.InvalidArgument, new PublishFindingsRequest { Hello = new AgentHello { SpoolId = "s", Host = new HostInfo { HostId = "\u001b[2J" } } });
        yield return Case("hello twice", StatusCode.InvalidArgument, new PublishFindingsRequest { Hello = hello }, new PublishFindingsRequest { Hello = hello });
        yield return Case("unknown kind of message", StatusCode.Unimplemented, new PublishFindingsRequest { Hello = hello }, new PublishFindingsRequest());
        yield return Case("empty batch", StatusCode.InvalidArgument, new PublishFindingsRequest { Hello = hello }, new PublishFindingsRequest { Batch = new RecordBatch() });
        yield return Case("sequence zero", StatusCode.InvalidArgument, new PublishFindingsRequest { Hello = hello }, new PublishFindingsRequest { Batch = AgentStream.Batch(AgentStream.Build(0, "b")) });
        yield return Case("sequence beyond a row id", StatusCode.InvalidArgument, new PublishFindingsRequest { Hello = hello }, new PublishFindingsRequest { Batch = AgentStream.Batch(AgentStream.Build(ulong.MaxValue, "b")) });
        yield return Case("message above the limit", StatusCode.ResourceExhausted, new PublishFindingsRequest { Hello = hello }, new PublishFindingsRequest { Batch = AgentStream.Batch(AgentStream.Build(1, new string('x', 3 << 20))) });

        static TestCaseData Case(string name, StatusCode code, params PublishFindingsRequest[] requests)
            => new TestCaseData(code, requests).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Refusals))]
    public async Task A_stream_that_says_something_wrong_is_ended_with_a_status(StatusCode expected, PublishFindingsRequest[] requests)
    {
        await using var agent = new AgentStream(_channel);
        foreach (PublishFindingsRequest request in requests[..^1])
        {
            await agent.SayAsync(request);
        }

        Assert.That(
            async () => await agent.SayAsync(requests[^1]),
            Throws.InstanceOf<RpcException>().With.Property(nameof(RpcException.StatusCode)).EqualTo(expected));
        Assert.That(_collector.Reader.Builds(10), Is.Empty);
    }

    [Test]
    public async Task A_kind_of_record_from_a_newer_agent_is_kept_acknowledged_and_counted()
    {
        await using var agent = new AgentStream(_channel);
        await agent.SayAsync(AgentStream.Hello());
        ulong acked = await agent.SayAsync(new SpooledRecord { Sequence = 1, Record = new OutputRecord() }, AgentStream.Build(2, ""));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(acked, Is.EqualTo(2));
            Assert.That(_collector.Reader.Hosts().Single().UnknownRecords, Is.EqualTo(2));
        }
    }

    [Test]
    public async Task A_record_with_a_time_no_calendar_has_does_not_make_every_answer_fail()
    {
        await using var agent = new AgentStream(_channel);
        await agent.SayAsync(AgentStream.Hello());
        SpooledRecord bad = AgentStream.Build(1, "bad");
        bad.Record.Build.StartTime = new Google.Protobuf.WellKnownTypes.Timestamp { Seconds = long.MaxValue, Nanos = -5 };
        await agent.SayAsync(bad, AgentStream.Build(2, "good"));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(await _collector.Web.GetStringAsync("/api/v1/builds"), Does.Contain("good").And.Not.Contain("bad"));
            Assert.That(await _collector.Web.GetStringAsync("/"), Does.Contain("1 records this collector cannot read"));
        }
    }

    [Test]
    public async Task A_heartbeat_is_answered_and_shows_coverage_and_what_the_spool_gave_up()
    {
        await using var agent = new AgentStream(_channel);
        await agent.SayAsync(AgentStream.Hello());
        await agent.SayAsync(AgentStream.Build(5, "b"));
        ulong acked = await agent.SayAsync(new PublishFindingsRequest { Heartbeat = new Heartbeat { SpoolDropped = 12, Coverage = new Coverage { LostEvents = 3 } } });

        ImageSentinel.Collector.Store.HostState host = _collector.Reader.Hosts().Single();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(acked, Is.EqualTo(5));
            Assert.That(host.GivenUp, Is.EqualTo(12));
            Assert.That(host.Coverage!.LostEvents, Is.EqualTo(3));
        }
    }

    [Test]
    public async Task Stopping_ends_open_streams_at_once()
    {
        await using var agent = new AgentStream(_channel);
        await agent.SayAsync(AgentStream.Hello());
        Task stopping = _collector.DisposeAsync().AsTask();

        Assert.That(await Task.WhenAny(stopping, Task.Delay(TimeSpan.FromSeconds(9))), Is.SameAs(stopping));
        await stopping;
        _collector = await CollectorHarness.StartAsync(_state);
    }
}
