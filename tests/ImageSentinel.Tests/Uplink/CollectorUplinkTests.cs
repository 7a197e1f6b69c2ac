using ImageSentinel.Agent.Uplink;
using ImageSentinel.Tests.Collector;
using ImageSentinel.V1;
using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;

namespace ImageSentinel.Tests.Uplink;

public sealed class CollectorUplinkTests
{
    private readonly List<string> _directories = [];
    private string _agentState = "";
    private string _collectorState = "";

    [SetUp]
    public void MakeStates() => (_agentState, _collectorState) = (Keep("agent"), Keep("collector"));

    [TearDown]
    public void RemoveStates()
    {
        _directories.ForEach(directory => Directory.Delete(directory, recursive: true));
        _directories.Clear();
    }

    [Test]
    public async Task Everything_appended_before_and_after_the_connection_arrives_once_and_leaves_the_spool()
    {
        await using CollectorHarness collector = await CollectorHarness.StartAsync(_collectorState);
        using FindingSpool spool = SpoolHarness.Open(_agentState);
        spool.Append([.. Enumerable.Range(0, 400).Select(i => SpoolHarness.Finding($"f{i}"))]);
        using CollectorUplink uplink = await StartAsync(collector.AgentUrl, spool);
        await Eventually(() => uplink.State.Connected);
        spool.Append(SpoolHarness.Build("b1", Verdict.Malicious));
        await Eventually(() => spool.Status.Depth == 0);
        await uplink.StopAsync(CancellationToken.None);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(collector.Reader.Findings(1000).Select(finding => finding.Uid), Is.EquivalentTo(Enumerable.Range(0, 400).Select(i => $"f{i}")));
            Assert.That(collector.Reader.Build("b1")!.Verdict, Is.EqualTo(Verdict.Malicious));
            Assert.That(collector.Reader.Activities("f7"), Has.Count.EqualTo(1));
        }
    }

    [Test]
    public async Task A_collector_that_comes_and_goes_ends_up_with_everything_once()
    {
        using FindingSpool spool = SpoolHarness.Open(_agentState);
        CollectorHarness collector = await CollectorHarness.StartAsync(_collectorState);
        Uri url = collector.AgentUrl;
        using CollectorUplink uplink = await StartAsync(url, spool);
        int made = 0;
        for (int round = 0; round < 4; round++)
        {
            made = Make(spool, made);
            await Eventually(() => collector.Reader.Hosts().Count > 0);
            await collector.DisposeAsync();
            made = Make(spool, made);
            collector = await CollectorHarness.StartAsync(_collectorState, agentPort: url.Port);
        }

        await Eventually(() => spool.Status.Depth == 0);
        await uplink.StopAsync(CancellationToken.None);
        List<Finding> findings = collector.Reader.Findings(1000);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(findings.Select(finding => finding.Uid), Is.EquivalentTo(Enumerable.Range(0, made).Select(i => $"f{i}")));
            Assert.That(findings.Sum(finding => collector.Reader.Activities(finding.Uid).Count), Is.EqualTo(made));
        }

        await collector.DisposeAsync();
    }

    [Test]
    public async Task An_agent_killed_between_sending_and_forgetting_sends_again_and_nothing_appears_twice()
    {
        await using CollectorHarness collector = await CollectorHarness.StartAsync(_collectorState);
        string image;
        using (FindingSpool spool = SpoolHarness.Open(_agentState))
        {
            spool.Append([.. Enumerable.Range(0, 300).Select(i => SpoolHarness.Finding($"f{i}"))]);
            image = SpoolHarness.CrashImage(_agentState);
            _directories.Add(image);
            using CollectorUplink uplink = await StartAsync(collector.AgentUrl, spool);
            await Eventually(() => collector.Reader.Findings(1000).Count >= 128);
            await uplink.StopAsync(CancellationToken.None);
        }

        // The image is from before the first acknowledgement: as if killed right then.
        using FindingSpool survivor = SpoolHarness.Open(image);
        survivor.Append(SpoolHarness.Finding("f300"));
        using CollectorUplink again = await StartAsync(collector.AgentUrl, survivor);
        await Eventually(() => survivor.Status.Depth == 0);
        await again.StopAsync(CancellationToken.None);

        List<Finding> findings = collector.Reader.Findings(1000);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(findings.Select(finding => finding.Uid), Is.EquivalentTo(Enumerable.Range(0, 301).Select(i => $"f{i}")));
            Assert.That(findings.Sum(finding => collector.Reader.Activities(finding.Uid).Count), Is.EqualTo(301));
        }
    }

    [Test]
    public async Task A_spool_restored_from_a_backup_starts_over_under_a_new_identity_so_that_its_new_records_are_not_taken_for_old_ones()
    {
        await using CollectorHarness collector = await CollectorHarness.StartAsync(_collectorState);
        string backup;
        using (FindingSpool spool = SpoolHarness.Open(_agentState))
        {
            backup = SpoolHarness.CrashImage(_agentState);
            _directories.Add(backup);
            spool.Append([SpoolHarness.Finding("before-1"), SpoolHarness.Finding("before-2")]);
            using CollectorUplink uplink = await StartAsync(collector.AgentUrl, spool);
            await Eventually(() => spool.Status.Depth == 0);
            await uplink.StopAsync(CancellationToken.None);
        }

        using FindingSpool restored = SpoolHarness.Open(backup);
        restored.Append(SpoolHarness.Finding("after"));
        using CollectorUplink later = await StartAsync(collector.AgentUrl, restored);
        await Eventually(() => restored.Status.Depth == 0);
        await later.StopAsync(CancellationToken.None);

        Assert.That(collector.Reader.Findings(10).Select(finding => finding.Uid), Is.EquivalentTo(new[] { "before-1", "before-2", "after" }));
    }

    [Test]
    public async Task An_agent_with_nothing_to_send_says_that_it_lives_and_how_it_is()
    {
        await using CollectorHarness collector = await CollectorHarness.StartAsync(_collectorState);
        using FindingSpool spool = SpoolHarness.Open(_agentState);
        using CollectorUplink uplink = await StartAsync(
            collector.AgentUrl, spool, options => options with { HeartbeatEvery = TimeSpan.FromMilliseconds(30) }, () => new Coverage { LostEvents = 5 });

        await Eventually(() => collector.Reader.Hosts() is [{ Coverage.LostEvents: 5 }]);
        await uplink.StopAsync(CancellationToken.None);
    }

    [Test]
    public async Task What_the_spool_gave_up_is_told_to_the_collector()
    {
        await using CollectorHarness collector = await CollectorHarness.StartAsync(_collectorState);
        using FindingSpool spool = SpoolHarness.Open(_agentState, options => options with { SizeLimit = 20_000 });
        spool.Append([.. Enumerable.Range(0, 40).Select(i => SpoolHarness.Finding($"f{i}", Severity.Low, 1000))]);
        ulong givenUp = spool.Status.GivenUp;
        using CollectorUplink uplink = await StartAsync(collector.AgentUrl, spool);

        await Eventually(() => collector.Reader.Hosts() is [{ } host] && host.GivenUp == givenUp);
        await uplink.StopAsync(CancellationToken.None);
        Assert.That(givenUp, Is.Positive);
    }

    [Test]
    public async Task A_spool_that_was_damaged_is_told_to_the_collector_with_the_coverage()
    {
        await using CollectorHarness collector = await CollectorHarness.StartAsync(_collectorState);
        await File.WriteAllBytesAsync(Path.Combine(_agentState, "spool.db"), new byte[9000]);
        await File.AppendAllTextAsync(Path.Combine(_agentState, "spool.db"), "no database");
        using FindingSpool spool = SpoolHarness.Open(_agentState);
        using CollectorUplink uplink = await StartAsync(collector.AgentUrl, spool, options => options with { HeartbeatEvery = TimeSpan.FromMilliseconds(30) });
        await Eventually(() => collector.Reader.Hosts() is [{ Coverage.Notes: [{ } note] }] && note.Contains("was damaged and moved to", StringComparison.Ordinal));
        await uplink.StopAsync(CancellationToken.None);
    }

    [Test]
    public async Task A_collector_nobody_runs_is_told_in_one_line_and_said_once()
    {
        using FindingSpool spool = SpoolHarness.Open(_agentState);
        var log = new LogCollector();
        using var uplink = new CollectorUplink(
            new UplinkOptions { Url = new Uri("http://127.0.0.1:1"), MaximumPause = TimeSpan.FromMilliseconds(20) },
            spool, Host, () => null, log.For<CollectorUplink>(), TimeProvider.System);
        await uplink.StartAsync(CancellationToken.None);
        await Eventually(() => uplink.State.Text.StartsWith("unreachable", StringComparison.Ordinal));
        await Task.Delay(300);
        await uplink.StopAsync(CancellationToken.None);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(uplink.State.Text, Is.EqualTo("unreachable: connection refused (127.0.0.1:1)"));
            Assert.That(log.Lines, Has.Count.EqualTo(1));
        }
    }

    [Test]
    public async Task A_stop_sends_what_is_there_before_it_ends()
    {
        await using CollectorHarness collector = await CollectorHarness.StartAsync(_collectorState);
        using FindingSpool spool = SpoolHarness.Open(_agentState);
        using CollectorUplink uplink = await StartAsync(collector.AgentUrl, spool, options => options with { DrainWithin = TimeSpan.FromMinutes(1) });
        await Eventually(() => uplink.State.Connected);
        spool.Append([.. Enumerable.Range(0, 3000).Select(i => SpoolHarness.Finding($"f{i}"))]);
        await uplink.StopAsync(CancellationToken.None);

        Assert.That(spool.Status.Depth, Is.Zero);
    }

    [Test]
    public async Task A_spool_that_got_a_new_identity_while_connected_goes_on_under_it()
    {
        await using CollectorHarness collector = await CollectorHarness.StartAsync(_collectorState);
        using FindingSpool spool = SpoolHarness.Open(_agentState);
        using CollectorUplink uplink = await StartAsync(collector.AgentUrl, spool);
        spool.Append(SpoolHarness.Build("b1", Verdict.Suspicious));
        await Eventually(() => spool.Status.Depth == 0);
        spool.RenewIdentity();
        spool.Append(SpoolHarness.Build("b1", Verdict.Malicious));
        await Eventually(() => spool.Status.Depth == 0);
        await uplink.StopAsync(CancellationToken.None);

        Assert.That(collector.Reader.Build("b1")!.Verdict, Is.EqualTo(Verdict.Malicious));
    }

    [Test]
    public async Task Somebody_who_takes_the_connection_and_never_answers_is_left_again()
    {
        using var mute = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        mute.Start();
        using FindingSpool spool = SpoolHarness.Open(_agentState);
        using CollectorUplink uplink = await StartAsync(
            new Uri($"http://{mute.LocalEndpoint}"), spool, options => options with { AnswerWithin = TimeSpan.FromMilliseconds(200) });
        await Eventually(() => uplink.State.Text.StartsWith("unreachable: no answer", StringComparison.Ordinal));
        await uplink.StopAsync(CancellationToken.None);
    }

    [Test]
    public async Task The_port_of_the_page_is_not_taken_for_the_collector()
    {
        await using CollectorHarness collector = await CollectorHarness.StartAsync(_collectorState);
        using FindingSpool spool = SpoolHarness.Open(_agentState);
        spool.Append(SpoolHarness.Finding("f1"));
        using CollectorUplink uplink = await StartAsync(collector.Web.BaseAddress!, spool);
        await Eventually(() => uplink.State.Text != "connecting");
        await uplink.StopAsync(CancellationToken.None);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(uplink.State.Text, Is.EqualTo($"unreachable: {collector.Web.BaseAddress!.Authority} does not speak gRPC; is this the collector's agent port?"));
            Assert.That(spool.Status.Depth, Is.EqualTo(1));
        }
    }

    [Test]
    public async Task A_collector_whose_disk_is_full_is_told_as_such_and_nothing_is_forgotten()
    {
        await using CollectorHarness collector = await CollectorHarness.StartAsync(_collectorState);
        await collector.Store.WriteAsync(
            connection =>
            {
                using Microsoft.Data.Sqlite.SqliteCommand command = connection.CreateCommand();
                command.CommandText = "PRAGMA max_page_count=1";
                return command.ExecuteScalar();
            },
            CancellationToken.None);
        using FindingSpool spool = SpoolHarness.Open(_agentState);
        spool.Append([.. Enumerable.Range(0, 100).Select(i => SpoolHarness.Finding($"f{i}", padding: 2000))]);
        var log = new LogCollector();
        using var uplink = new CollectorUplink(new UplinkOptions { Url = collector.AgentUrl }, spool, Host, () => null, log.For<CollectorUplink>(), TimeProvider.System);
        await uplink.StartAsync(CancellationToken.None);
        await Eventually(() => spool.Status.Depth == 0);
        await uplink.StopAsync(CancellationToken.None);

        // The collector begins again with a new connection to its database, and that one has no limit.
        using (Assert.EnterMultipleScope())
        {
            Assert.That(log.Lines, Has.Some.Contains("the collector cannot store"));
            Assert.That(collector.Reader.Findings(1000), Has.Count.EqualTo(100));
        }
    }

    [TestCase("https://collector.example:4317", null)]
    [TestCase("http://127.0.0.1:4317", null)]
    [TestCase("http://[::1]:4317", null)]
    [TestCase("http://localhost:4317", null)]
    [TestCase("http://198.51.100.7:4317", "readable by the network")]
    [TestCase("http://127.0.0.1.example:4317", "readable by the network")]
    [TestCase("ftp://127.0.0.1", "must begin with https://")]
    public void Findings_leave_the_host_by_https_only(string url, string? problem)
        => Assert.That(new UplinkOptions { Url = new Uri(url) }.Problem(), problem is null ? Is.Null : Does.Contain(problem));

    internal static HostInfo Host() => new() { HostId = "host-1", Hostname = "builder-1" };

    internal static async Task<CollectorUplink> StartAsync(
        Uri url, FindingSpool spool, Func<UplinkOptions, UplinkOptions>? change = null, Func<Coverage?>? coverage = null)
    {
        var options = new UplinkOptions { Url = url, MaximumPause = TimeSpan.FromMilliseconds(200) };
        var uplink = new CollectorUplink(
            change?.Invoke(options) ?? options, spool, Host, coverage ?? (() => null), NullLogger<CollectorUplink>.Instance, TimeProvider.System);
        await uplink.StartAsync(CancellationToken.None);
        return uplink;
    }

    // Waits for what must come; how long it takes proves nothing.
    internal static async Task Eventually(Func<bool> condition)
    {
        for (DateTime limit = DateTime.UtcNow.AddSeconds(30); !condition(); await Task.Delay(10))
        {
            Assert.That(DateTime.UtcNow, Is.LessThan(limit), "what was waited for did not come");
        }
    }

    private static int Make(FindingSpool spool, int from)
    {
        spool.Append([.. Enumerable.Range(from, 37).Select(i => SpoolHarness.Finding($"f{i}"))]);
        return from + 37;
    }

    private string Keep(string name)
    {
        string directory = Directory.CreateTempSubdirectory($"imagesentinel-{name}-").FullName;
        _directories.Add(directory);
        return directory;
    }
}
