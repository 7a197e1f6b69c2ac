using System.Buffers.Binary;
using ImageSentinel.Detection.Model;
using ImageSentinel.Sensors.Replay;
using ImageSentinel.Sensors.Stream;
using NUnit.Framework;

namespace ImageSentinel.Tests.Pipeline;

/// <summary>The queue, the order, the facts and the capture file between sensors and core.</summary>
[TestFixture]
public sealed class StreamTests
{
    private static readonly Fact[] EveryFact =
    [
        new HostFact("h", "id", "boot", "6.1", "1", ["1.1.1.1"], ["10.0.0.1"], [new UserName(0, "root")], 9),
        new EngineFact(1, "/s", 2, 3, 4, "/d", "/e", "20", "overlay2", ["r"], ["l"], true, false, "note"),
        new ProcessFact(1, 2, 3, 4, 5, 6, 7, "/x", ["a", "\u0001\ud83d\ude00"], "/", "/c"),
        new BundleFact(0, "s", "/b", ["a"], "/", true, false, "c", "id", true, "l"),
        new ContainerFact(0, "c", "i", "id", ["a"], "n", true, "/l", "d", "host", true, "host", "no", ["/:/h"], "l", true, false, 3),
        new ImageFact(0, "i", "c", "p", ["l"], [new ImageHistory("a", "b", true)]),
        new TagsFact(0, [new ImageTag("a:1", "i")]),
        new EnginePeerFact(0, 4711),
        new DockerfileFact(0, "o", 3, "FROM a\n"),
        new LayerFileFact(0, "l", [1, 255, 10], 5, 493, ImageSentinel.Detection.Files.FileKind.Elf, "ab", "n"),
        new SensorFact("audit", "off", "r", 1, 2, 3, 4),
        new TamperFact("audit", "d"),
        new BaselineFact(true, "1.1.1.1", "r"),
        new ReadyFact(true, false, "n"),
        new StoppedFact(),
        new StoreImageFact("b", "sha256:i", ["a:1"]),
        new FlowsFact([new FlowCount("10.0.0.2", 1, "203.0.113.66", 80, 1, 2, 3)]),
        new ProcessNetworkFact(7, 5, ["10.0.0.2"], false),
        new ImageSentinel.Detection.Posture.PostureFact(
            0, "/s", 432, "root", "docker", ["ann"], [new("0.0.0.0", 2375)], false, true, ["p"], ["r"], ["userns"],
            [new("c", "n", "i", "u", true, "/s", "/t", "buildkitd")], 1, ["engine: x"]),
        new HistoryStateFact(0, true, "n"),
        new BuildRecordFact(0, BuildRecordChange.Complete, "r", "dockerfile.v0", [new BuildAttribute("target", "t")], ["a:1"], 1, 2, "e", 3, 4, "sha256:i"),
        new BuildVertexFact(0, "r", [new BuildVertex("d", "[1/2] RUN x", true, 1, 2, "e")], ["a:1"], true),
    ];

    private static SensorItem Item(int i, SensorKind kind = SensorKind.Files, int size = 10, long lost = 0)
    {
        byte[] bytes = new byte[size];
        new Random(i).NextBytes(bytes);
        return new SensorItem(kind, i * 1000L, i * 2000L, bytes, size, LostBefore: lost);
    }

    private static byte[] Capture(IEnumerable<SensorItem> items)
    {
        var file = new MemoryStream();
        using (var writer = new CaptureWriter(file))
        {
            foreach (SensorItem item in items)
            {
                writer.Write(item);
            }
        }

        return file.ToArray();
    }

    private static List<SensorItem> Read(byte[] capture)
    {
        var items = new List<SensorItem>();
        using var reader = new CaptureReader(new MemoryStream(capture), "some.iscap");
        while (reader.TryRead(out SensorItem item))
        {
            items.Add(item);
        }

        return items;
    }

    [Test]
    public void A_full_queue_drops_the_newest_and_the_next_that_fits_carries_the_hole()
    {
        using var queue = new SensorQueue();
        int written = 0;
        while (queue.TryWrite(Item(written, size: 1 << 20), 5))
        {
            written++;
        }

        Assert.That(queue.TryWrite(Item(1, SensorKind.Audit, 1 << 20), 7), Is.False);
        Assert.That(queue.TryWrite(Item(1, SensorKind.Facts, 1 << 20), 1), Is.True, "facts are never dropped");
        Assert.That(queue.DroppedBatches, Is.EqualTo(2));
        for (int i = 0; i < written; i++)
        {
            Assert.That(queue.TryRead(out SensorItem kept, TimeSpan.Zero), Is.True);
            Assert.That((kept.BootNanoseconds, kept.LostBefore), Is.EqualTo((i * 1000L, 0L)));
        }

        Assert.That(queue.TryRead(out _, TimeSpan.Zero), Is.True);
        Assert.That(queue.TryWrite(Item(2, lost: 2), 1), Is.True);
        Assert.That(queue.TryWrite(Item(3, SensorKind.Audit), 1), Is.True);
        Assert.That(queue.TryWrite(Item(4), 1), Is.True);
        long[] holes = [.. Enumerable.Range(0, 3).Select(_ => queue.TryRead(out SensorItem item, TimeSpan.Zero) ? item.LostBefore : -9)];
        Assert.That(holes, Is.EqualTo(new long[] { 7, 7, 0 }));
        Assert.That(queue.TryRead(out _, TimeSpan.Zero), Is.False);
    }

    [Test]
    public void A_hole_of_unknown_size_stays_of_unknown_size()
    {
        using var queue = new SensorQueue();
        while (queue.TryWrite(Item(1, size: 1 << 20), 1))
        {
        }

        _ = queue.TryWrite(Item(1, size: 1 << 20, lost: -1), 3);
        while (queue.TryRead(out _, TimeSpan.Zero))
        {
        }

        _ = queue.TryWrite(Item(2), 1);
        Assert.That(queue.TryRead(out SensorItem item, TimeSpan.Zero), Is.True);
        Assert.That(item.LostBefore, Is.EqualTo(-1));
    }

    [Test]
    public void Every_record_that_is_handed_over_comes_out_or_is_counted_in_a_hole()
    {
        using var queue = new SensorQueue();
        var random = new Random(7);
        long handed = 0;
        long got = 0;
        for (int i = 0; i < 4000; i++)
        {
            int records = random.Next(1, 100);
            _ = queue.TryWrite(Item(records, size: 300_000), records);
            handed += records;
            if (random.Next(3) == 0 && queue.TryRead(out SensorItem item, TimeSpan.Zero))
            {
                got += (item.BootNanoseconds / 1000) + item.LostBefore;
            }
        }

        while (queue.TryRead(out SensorItem item, TimeSpan.Zero))
        {
            got += (item.BootNanoseconds / 1000) + item.LostBefore;
        }

        _ = queue.TryWrite(Item(0), 0);
        Assert.That(queue.TryRead(out SensorItem last, TimeSpan.Zero), Is.True);
        Assert.That(got + last.LostBefore, Is.EqualTo(handed));
        Assert.That(queue.DroppedBatches, Is.Positive);
    }

    [Test]
    public void Audit_waits_for_what_happened_before_it_and_everything_else_does_not()
    {
        var timeline = new Timeline();
        SensorItem audit = Item(1, SensorKind.Audit) with { BootNanoseconds = 0 };

        Assert.That(timeline.Admit(audit), Is.False);
        Assert.That(timeline.Admit(Item(2, SensorKind.Processes)), Is.True);
        Assert.That(timeline.TryRelease(Timeline.AuditHold - 1, false, out _), Is.False);
        Assert.That(timeline.UntilNext(Timeline.AuditHold - 1_000_000), Is.EqualTo(TimeSpan.FromMilliseconds(1)));
        Assert.That(timeline.TryRelease(Timeline.AuditHold, false, out SensorItem released), Is.True);
        Assert.That(released, Is.EqualTo(audit));
        Assert.That(timeline.UntilNext(0), Is.Null);
    }

    [Test]
    public void Audit_batches_leave_in_the_order_they_came_and_all_at_the_end()
    {
        var timeline = new Timeline();
        for (int i = 0; i < 5; i++)
        {
            _ = timeline.Admit(Item(i, SensorKind.Audit));
        }

        var order = new List<long>();
        while (timeline.TryRelease(0, draining: true, out SensorItem item))
        {
            order.Add(item.BootNanoseconds);
        }

        Assert.That(order, Is.Ordered.And.Count.EqualTo(5));
    }

    [TestCaseSource(nameof(EveryFact))]
    public void A_fact_comes_back_as_it_went(Fact fact)
    {
        SensorItem item = FactCodec.ToItem(fact, 1, 2);
        Fact? back = FactCodec.FromItem(item);

        // Records compare lists by reference; their JSON compares by value.
        Assert.That(back?.GetType(), Is.EqualTo(fact.GetType()));
        Assert.That(FactCodec.ToItem(back!, 1, 2).Bytes, Is.EqualTo(item.Bytes));
    }

    [Test]
    public void Every_kind_of_fact_is_tried()
        => Assert.That(
            EveryFact.Select(static f => f.GetType()),
            Is.EquivalentTo(typeof(Fact).Assembly.GetTypes().Where(static t => t.IsSubclassOf(typeof(Fact)))));

    [TestCase("")]
    [TestCase("null")]
    [TestCase("{}")]
    [TestCase("[]")]
    [TestCase("{\"fact\":\"nosuch\"}")]
    [TestCase("{\"fact\":\"host\"}")]
    [TestCase("{\"fact\":\"tags\",\"engine\":0,\"tags\":null}")]
    [TestCase("{\"fact\":\"tags\",\"engine\":0,\"tags\":[null]}")]
    [TestCase("{\"fact\":\"tags\",\"engine\":0,\"tags\":[{\"reference\":null,\"imageId\":\"\"}]}")]
    [TestCase("{\"fact\":\"bundle\",\"args\":[\"a\",")]
    public void A_fact_from_a_stranger_that_is_not_whole_is_none(string json)
    {
        byte[] bytes = System.Text.Encoding.UTF8.GetBytes(json);

        Assert.That(FactCodec.FromItem(new SensorItem(SensorKind.Facts, 0, 0, bytes, bytes.Length)), Is.Null);
    }

    [Test]
    public void A_capture_gives_back_every_item_across_blocks()
    {
        SensorItem[] items = [.. Enumerable.Range(0, 300).Select(static i => Item(i, (SensorKind)(1 + (i % 8)), i * 17, i % 3 - 1))];

        List<SensorItem> read = Read(Capture(items));

        Assert.That(read, Has.Count.EqualTo(items.Length));
        for (int i = 0; i < items.Length; i++)
        {
            Assert.That(read[i] with { Bytes = [] }, Is.EqualTo(items[i] with { Bytes = [] }));
            Assert.That(read[i].Span.SequenceEqual(items[i].Span), Is.True);
        }
    }

    [Test]
    public void An_empty_capture_is_a_capture() => Assert.That(Read(Capture([])), Is.Empty);

    [Test]
    public void A_cut_capture_says_its_name_and_where_wherever_it_was_cut()
    {
        byte[] whole = Capture(Enumerable.Range(0, 300).Select(static i => Item(i, size: 2000)));
        var boundaries = new HashSet<int> { 0, 1, 11, 12, 13, 27, 28, 29, whole.Length - 1, whole.Length - 16, whole.Length - 17 };
        for (int at = 12; at + 16 <= whole.Length;)
        {
            at += 16 + BinaryPrimitives.ReadInt32LittleEndian(whole.AsSpan(at));
            boundaries.UnionWith([at - 1, at, Math.Min(at + 1, whole.Length - 1)]);
        }

        foreach (int length in boundaries.Where(l => l < whole.Length))
        {
            CaptureException? error = Assert.Throws<CaptureException>(() => Read(whole[..length]), $"cut at {length}");
            Assert.That(error!.Message, Does.StartWith("some.iscap: "));
            Assert.That(error.Message, length < 12 ? Does.Contain("not an ImageSentinel capture") : Does.Contain("near byte"));
        }
    }

    [Test]
    public void A_flipped_bit_anywhere_is_found_or_harmless()
    {
        SensorItem[] items = [.. Enumerable.Range(0, 40).Select(static i => Item(i, size: 300))];
        byte[] whole = Capture(items);
        var random = new Random(1612);
        int found = 0;
        for (int i = 0; i < 3000; i++)
        {
            byte[] damaged = [.. whole];
            damaged[i < whole.Length && i < 60 ? i : random.Next(whole.Length)] ^= (byte)(1 << random.Next(8));
            try
            {
                List<SensorItem> read = Read(damaged);
                Assert.That(read.Select(static r => Convert.ToHexString(r.Span)), Is.EqualTo(items.Select(static r => Convert.ToHexString(r.Span))));
            }
            catch (CaptureException e)
            {
                found++;
                Assert.That(e.Message, Does.StartWith("some.iscap: "));
            }
        }

        Assert.That(found, Is.GreaterThan(2900));
    }

    [Test]
    public void A_newer_format_is_refused_with_what_to_do()
    {
        byte[] whole = Capture([]);
        whole[8] = 9;

        Assert.That(() => Read(whole), Throws.TypeOf<CaptureException>().With.Message.Contains("format 9"));
    }
}
