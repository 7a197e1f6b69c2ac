using Google.Protobuf.WellKnownTypes;
using ImageSentinel.Collector.Hosting;
using ImageSentinel.Collector.Ingest;
using ImageSentinel.Collector.Store;
using ImageSentinel.Tests.Uplink;
using ImageSentinel.V1;
using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;

namespace ImageSentinel.Tests.Collector;

public sealed class RetentionTests
{
    private static readonly DateTimeOffset Today = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);

    private readonly SettableTime _time = new(Today);
    private string _state = "";
    private StoreDatabase _database = null!;
    private RecordStore _store = null!;
    private RecordReader _reader = null!;
    private ulong _sequence;

    [SetUp]
    public void Open()
    {
        _time.Now = Today;
        _state = Directory.CreateTempSubdirectory("imagesentinel-retention-").FullName;
        _database = StoreDatabase.Open(_state, NullLogger.Instance, _time);
        _store = new RecordStore(_database, _time, NullLogger<RecordStore>.Instance);
        _reader = new RecordReader(_database);
    }

    [TearDown]
    public void Close()
    {
        _store.Dispose();
        _database.Dispose();
        Directory.Delete(_state, recursive: true);
    }

    [Test]
    public async Task What_is_older_than_the_days_to_keep_goes_with_its_history_and_is_counted()
    {
        SpoolIdentity spool = await GreetAsync();
        await StoreAsync(spool, Build("old", days: 31), Build("new", days: 29), Finding("f-old", days: 31), Finding("f-old", days: 31), Finding("f-new", days: 1));
        long removed = await Retention(options => options with { KeepDays = 30 }).RunOnceAsync(CancellationToken.None);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_reader.Builds(10).Select(build => build.Id), Is.EqualTo(new[] { "new" }));
            Assert.That(_reader.Findings(10).Select(finding => finding.Uid), Is.EqualTo(new[] { "f-new" }));
            Assert.That(_reader.Activities("f-old"), Is.Empty);
            Assert.That(removed, Is.EqualTo(4));
            Assert.That(_reader.Counter(ImageSentinel.Collector.Store.Retention.RemovedCounter), Is.EqualTo(4));
        }
    }

    [Test]
    public async Task Zero_days_keep_everything()
    {
        SpoolIdentity spool = await GreetAsync();
        await StoreAsync(spool, Build("ancient", days: 4000));
        Assert.That(await Retention(options => options with { KeepDays = 0 }).RunOnceAsync(CancellationToken.None), Is.Zero);
    }

    [Test]
    public async Task When_there_is_no_room_clean_builds_go_before_findings_and_the_file_shrinks()
    {
        SpoolIdentity spool = await GreetAsync();
        await StoreAsync(spool, Finding("severe", days: 20), Build("bad", days: 20, Verdict.Malicious));
        for (int i = 0; i < 40; i++)
        {
            await StoreAsync(spool, [.. Enumerable.Range(0, 100).Select(n => Build($"clean-{i}-{n}", days: 1, padding: 5000))]);
        }

        long before = _reader.SizeInUse();
        await Retention(options => options with { MaxStoreBytes = 16 << 20 }).RunOnceAsync(CancellationToken.None);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(before, Is.GreaterThan(16 << 20));
            Assert.That(_reader.SizeInUse(), Is.LessThanOrEqualTo(16 << 20));
            Assert.That(_reader.Finding("severe"), Is.Not.Null);
            Assert.That(_reader.Build("bad"), Is.Not.Null);
            Assert.That(_reader.Builds(100), Has.Count.EqualTo(100), "more was removed than needed");
        }
    }

    [Test]
    public async Task A_host_that_falls_silent_is_said_once_and_so_is_its_return()
    {
        SpoolIdentity spool = await GreetAsync();
        var log = new LogCollector();
        using var watch = new SilenceWatch(_reader, Options(options => options), _time, log.For<SilenceWatch>());
        int atFirst = watch.Look().Count;
        _time.Now = Today.AddSeconds(31);
        int later = watch.Look().Count;
        watch.Look();
        await _store.NoteHeartbeatAsync(spool, new Heartbeat(), CancellationToken.None);
        int back = watch.Look().Count;

        using (Assert.EnterMultipleScope())
        {
            Assert.That((atFirst, later, back), Is.EqualTo((0, 1, 0)));
            Assert.That(log.Lines, Is.EqualTo(new[]
            {
                "Warning 5023 Host host-1.example (host-1) has been silent since 2026-11-22T12:00:00Z: its agent, its network or the host is down",
                "Information 5024 Host host-1.example (host-1) speaks again",
            }));
        }
    }

    [Test]
    public async Task Many_agents_at_once_share_commits_and_each_gets_its_own_answer()
    {
        Task<List<StoredRecord>>[] writes = [.. Enumerable.Range(0, 200).Select(async i =>
        {
            SpoolIdentity spool = await _store.GreetAsync(AgentStream.Hello(host: $"host-{i}"), null, CancellationToken.None);
            return await _store.StoreAsync(spool, AgentStream.Batch(AgentStream.Finding(1, $"f{i}")), CancellationToken.None);
        })];
        List<StoredRecord>[] answers = await Task.WhenAll(writes);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(answers.Select(answer => answer.Single().Record.Finding.Uid), Is.EqualTo(Enumerable.Range(0, 200).Select(i => $"f{i}")));
            Assert.That(_reader.Findings(1000), Has.Count.EqualTo(200));
        }
    }

    [Test]
    public async Task A_greeting_that_is_refused_spoils_nobody_elses_commit()
    {
        await _store.GreetAsync(AgentStream.Hello(), "CN=owner", CancellationToken.None);
        Task<SpoolIdentity>[] greetings =
        [
            .. Enumerable.Range(2, 20).Select(i => _store.GreetAsync(AgentStream.Hello(host: $"host-{i}"), null, CancellationToken.None)),
            _store.GreetAsync(AgentStream.Hello(), "CN=thief", CancellationToken.None),
            .. Enumerable.Range(22, 20).Select(i => _store.GreetAsync(AgentStream.Hello(host: $"host-{i}"), null, CancellationToken.None)),
        ];

        Assert.That(async () => await greetings[20], Throws.InstanceOf<IdentityException>());
        await Task.WhenAll(greetings.Where((_, i) => i != 20));
        Assert.That(_reader.Hosts(), Has.Count.EqualTo(41));
    }

    private Task<SpoolIdentity> GreetAsync() => _store.GreetAsync(AgentStream.Hello(), null, CancellationToken.None);

    private Task<List<StoredRecord>> StoreAsync(SpoolIdentity spool, params SpooledRecord[] records)
        => _store.StoreAsync(spool, AgentStream.Batch(records), CancellationToken.None);

    private SpooledRecord Build(string id, int days, Verdict verdict = Verdict.Clean, int padding = 0)
    {
        SpooledRecord record = AgentStream.Build(++_sequence, id, verdict);
        record.Record.Build.StartTime = Timestamp.FromDateTimeOffset(Today.AddDays(-days));
        record.Record.Build.EngineSocket = new string('x', padding);
        return record;
    }

    private SpooledRecord Finding(string uid, int days)
    {
        SpooledRecord record = AgentStream.Finding(++_sequence, uid);
        record.Record.Finding.Time = Timestamp.FromDateTimeOffset(Today.AddDays(-days));
        return record;
    }

    private Retention Retention(Func<CollectorOptions, CollectorOptions> change)
        => new(_store, _reader, Options(change), _time, NullLogger<Retention>.Instance);

    private CollectorOptions Options(Func<CollectorOptions, CollectorOptions> change)
        => change(new CollectorOptions { Listen = CollectorHarness.Address("http://127.0.0.1:0"), StateDirectory = _state });
}
