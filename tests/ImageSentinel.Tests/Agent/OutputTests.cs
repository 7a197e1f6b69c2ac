using ImageSentinel.Agent.Outputs;
using ImageSentinel.V1;
using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;

namespace ImageSentinel.Tests.Agent;

public sealed class OutputTests
{
    private string _folder = "";

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("imagesentinel-").FullName;

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void One_record_is_one_line_that_reads_back()
    {
        string path = Path.Combine(_folder, "out.json");
        using (var output = new JsonLinesOutput(path))
        {
            output.Write([.. AgentCorpus.Records("hostile.jsonl")]);
        }

        Assert.That(
            File.ReadLines(path).Select(line => Google.Protobuf.JsonParser.Default.Parse<OutputRecord>(line)),
            Is.EqualTo(AgentCorpus.Records("hostile.jsonl")));
    }

    [TestCase("plain")]
    [TestCase("a \" b \\ c \\\" d: { , } e")]
    [TestCase("\\")]
    [TestCase("  \"  ")]
    public void Blanks_go_from_between_the_words_and_stay_inside_them(string text)
    {
        var record = new OutputRecord { Finding = new Finding { Uid = text, Title = text, Severity = Severity.Low } };

        string line = RecordJson.Line(record);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(line, Does.StartWith("{\"finding\":{\"uid\":\""));
            Assert.That(Google.Protobuf.JsonParser.Default.Parse<OutputRecord>(line), Is.EqualTo(record));
        }
    }

    [Test]
    public void A_file_moved_away_is_written_anew()
    {
        string path = Path.Combine(_folder, "out.json");
        using var output = new JsonLinesOutput(path);
        output.Write([Record("one")]);
        File.Move(path, path + ".1");

        output.Write([Record("two")]);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(File.ReadAllLines(path + ".1"), Has.Length.EqualTo(1));
            Assert.That(File.ReadAllText(path), Does.Contain("two").And.Not.Contain("one"));
        }
    }

    [Test]
    public void A_file_truncated_in_place_gets_no_hole()
    {
        string path = Path.Combine(_folder, "out.json");
        using var output = new JsonLinesOutput(path);
        output.Write([Record("one")]);
        File.WriteAllText(path, "");

        output.Write([Record("two")]);

        Assert.That(File.ReadAllText(path), Does.StartWith("{"));
    }

    [Test]
    public void An_existing_file_is_appended_to()
    {
        string path = Path.Combine(_folder, "out.json");
        File.WriteAllText(path, "before\n");
        using (var output = new JsonLinesOutput(path))
        {
            output.Write([Record("one")]);
        }

        Assert.That(File.ReadAllLines(path), Has.Length.EqualTo(2).And.Exactly(1).EqualTo("before"));
    }

    [Test]
    public void The_line_after_a_torn_one_stands_alone()
    {
        using var disk = new FullDisk();
        using var output = new JsonLinesOutput(disk);
        output.Write([Record("one")]);
        disk.RoomLeft = 5;
        Assert.That(() => output.Write([Record("two")]), Throws.InstanceOf<IOException>());
        disk.RoomLeft = long.MaxValue;

        output.Write([Record("three")]);

        string[] lines = disk.Text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(lines, Has.Length.EqualTo(3));
        Assert.That(lines[2], Does.Contain("three").And.StartWith("{"));
    }

    [Test]
    public async Task A_failing_output_is_told_once_and_the_others_go_on()
    {
        var broken = new ListOutput("broken") { Failing = true };
        var healthy = new ListOutput("healthy");
        await using (var writer = new OutputWriter([broken, healthy], NullLogger<OutputWriter>.Instance))
        {
            for (int i = 0; i < 10; i++)
            {
                writer.Write(Record($"r{i}"));
                await writer.FlushAsync();
            }

            broken.Failing = false;
            writer.Write(Record("last"));
            await writer.FlushAsync();
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(healthy.Records, Has.Count.EqualTo(11));
            Assert.That(broken.Records.Select(record => record.Finding.Uid), Is.EqualTo(new[] { "last" }));
            Assert.That(healthy.Notices.Select(notice => notice.Kind), Is.EqualTo(new[] { NoticeKind.OutputFailed, NoticeKind.OutputRecovered }));
            Assert.That(healthy.Notices[1].Message, Does.Contain("10 records"));
        }
    }

    [Test]
    public async Task Outputs_are_served_in_the_order_given()
    {
        var order = new List<string>();
        var first = new ListOutput("spool") { OnWrite = () => order.Add("spool") };
        var second = new ListOutput("terminal") { OnWrite = () => order.Add("terminal") };
        await using (var writer = new OutputWriter([first, second], NullLogger<OutputWriter>.Instance))
        {
            writer.Write(Record("one"));
        }

        Assert.That(order, Is.EqualTo(new[] { "spool", "terminal" }));
    }

    [Test]
    public async Task What_does_not_fit_is_counted_and_what_fits_is_written()
    {
        using var gate = new ManualResetEventSlim();
        using var entered = new ManualResetEventSlim();
        var slow = new ListOutput("slow")
        {
            OnWrite = () =>
            {
                entered.Set();
                gate.Wait();
            },
        };
        var writer = new OutputWriter([slow], NullLogger<OutputWriter>.Instance, queueLength: 4);
        writer.Write(Record("blocks"));
        entered.Wait();
        bool[] accepted = [.. Enumerable.Range(0, 10).Select(i => writer.Write(Record($"r{i}")))];
        gate.Set();
        await writer.DisposeAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(accepted.Count(taken => taken), Is.EqualTo(4));
            Assert.That(writer.Dropped, Is.EqualTo(6));
            Assert.That(slow.Records, Has.Count.EqualTo(5));
            Assert.That(writer.Written + writer.Dropped, Is.EqualTo(11));
        }
    }

    [Test]
    public async Task The_last_room_is_kept_for_findings()
    {
        using var gate = new ManualResetEventSlim();
        using var entered = new ManualResetEventSlim();
        var slow = new ListOutput("slow")
        {
            OnWrite = () =>
            {
                entered.Set();
                gate.Wait();
            },
        };
        var writer = new OutputWriter([slow], NullLogger<OutputWriter>.Instance, queueLength: 4);
        writer.Write(Record("blocks"));
        entered.Wait();
        bool[] builds = [.. Enumerable.Range(0, 5).Select(i => writer.Write(new OutputRecord { Build = new Build { Id = $"b{i}" } }))];
        bool finding = writer.Write(Record("f"));
        gate.Set();
        await writer.DisposeAsync();

        Assert.That((builds.Count(taken => taken), finding, writer.Dropped), Is.EqualTo((3, true, 2L)));
    }

    [Test]
    public async Task A_replaced_output_is_closed_and_one_that_stays_is_not()
    {
        var stays = new ListOutput("stays");
        var goes = new ListOutput("goes");
        var comes = new ListOutput("comes");
        await using var writer = new OutputWriter([stays, goes], NullLogger<OutputWriter>.Instance);
        writer.Write(Record("one"));
        writer.Replace([stays, comes]);
        writer.Write(Record("two"));
        await writer.FlushAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(goes.Disposed, Is.True);
            Assert.That(stays.Disposed, Is.False);
            Assert.That(stays.Records, Has.Count.EqualTo(2));
            Assert.That(comes.Records.Select(record => record.Finding.Uid), Is.EqualTo(new[] { "two" }));
        }
    }

    [Test]
    public void The_journal_gets_findings_ended_builds_and_changes_of_coverage()
    {
        var journal = new ListJournal();
        using var output = new JournalOutput(journal);
        IReadOnlyList<OutputRecord> records = AgentCorpus.Records("attack.jsonl");
        OutputRecord degraded = records[0].Clone();
        degraded.Coverage.Sensors[0].State = SensorState.Off;

        output.Write([.. records, degraded]);
        output.Tell(new Notice(NoticeKind.CollectorLost, "the collector does not answer"));

        Assert.That(
            journal.Entries.Select(entry => entry.Find("MESSAGE_ID")),
            Is.EqualTo(new[] { JournalIds.BuildEnded, JournalIds.Finding, JournalIds.Of(NoticeKind.SensorDegraded), JournalIds.Of(NoticeKind.CollectorLost) }));
        Assert.That(journal.Entries.Select(entry => entry.Find("SYSLOG_IDENTIFIER")), Has.All.EqualTo("imagesentinel"));
        Assert.That(journal.Entries[1].Find("PRIORITY"), Is.EqualTo("3"));
    }

    private static OutputRecord Record(string uid) => new() { Finding = new Finding { Uid = uid, Severity = Severity.Low } };

    private sealed class ListOutput(string name) : IRecordOutput
    {
        public string Name { get; } = name;

        public bool Failing { get; set; }

        public Action? OnWrite { get; init; }

        public List<OutputRecord> Records { get; } = [];

        public List<Notice> Notices { get; } = [];

        public bool Disposed { get; private set; }

        public void Write(IReadOnlyList<OutputRecord> batch)
        {
            OnWrite?.Invoke();
            if (Failing)
            {
                throw new IOException("no space left on device");
            }

            Records.AddRange(batch);
        }

        public void Tell(Notice notice) => Notices.Add(notice);

        public void Dispose() => Disposed = true;
    }

    private sealed class ListJournal : IJournal
    {
        public List<JournalFields> Entries { get; } = [];

        public void Send(JournalFields entry) => Entries.Add(entry);
    }

    /// <summary>A stream that takes as many bytes as there is room for and then fails, as write(2) does on a full disk.</summary>
    private sealed class FullDisk : MemoryStream
    {
        public long RoomLeft { get; set; } = long.MaxValue;

        public string Text => System.Text.Encoding.UTF8.GetString(ToArray());

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            int fits = (int)Math.Min(buffer.Length, RoomLeft);
            base.Write(buffer[..fits]);
            if (fits < buffer.Length)
            {
                throw new IOException("no space left on device");
            }
        }
    }
}
