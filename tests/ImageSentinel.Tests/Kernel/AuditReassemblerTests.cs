using System.Buffers;
using System.Text;
using ImageSentinel.Kernel.Audit;
using NUnit.Framework;

namespace ImageSentinel.Tests.Kernel;

public sealed class AuditReassemblerTests
{
    private const long Second = 1_000_000_000;

    private static readonly ushort[] StormTypes = [1300, 1306, 1327, 1320];

    [Test]
    public void Interleaved_events_come_out_each_with_its_own_records()
    {
        var feed = new Feed();
        feed.Add(1300, 10, "a=1");
        feed.Add(1306, 10, "a=2");
        feed.Add(1300, 11, "b=1");
        feed.Add(1327, 10, "a=3");
        feed.Add(1327, 11, "b=2");
        feed.Add(1320, 11);
        feed.Add(1320, 10);

        Assert.That(feed.Taken, Is.EqualTo(new[] { "11 EndRecord 1300:b=1 1327:b=2", "10 EndRecord 1300:a=1 1306:a=2 1327:a=3" }));
        feed.AssertSums();
    }

    [Test]
    public void An_event_without_an_end_record_comes_out_when_it_is_old()
    {
        var feed = new Feed();
        feed.Add(1305, 10, "op=set");
        feed.Advance((2 * Second) - 1);
        Assert.That(feed.Taken, Is.Empty);

        feed.Advance(2 * Second);

        Assert.That(feed.Taken, Is.EqualTo(new[] { "10 Age 1305:op=set" }));
        Assert.That(feed.Counters.Aged, Is.EqualTo(1));
        feed.AssertSums();
    }

    [Test]
    public void A_message_of_a_program_comes_out_at_once()
    {
        var feed = new Feed();
        feed.Add(1112, 10, "pid=1");

        Assert.That(feed.Taken, Is.EqualTo(new[] { "10 WholeRecord 1112:pid=1" }));
    }

    [TestCase(100u, TestName = "Late_record_is_told_apart_from_a_lost_one")]
    [TestCase(uint.MaxValue, TestName = "Late_record_is_told_apart_from_a_lost_one_before_the_rollover")]
    [TestCase(0u, TestName = "Late_record_is_told_apart_from_a_lost_one_at_the_rollover")]
    [TestCase(1u, TestName = "Late_record_is_told_apart_from_a_lost_one_after_the_rollover")]
    public void Late_record_is_told_apart_from_a_lost_one(uint serial)
    {
        var feed = new Feed();
        feed.Event(unchecked(serial - 2));
        feed.Event(unchecked(serial - 1));
        feed.Event(unchecked(serial + 1)); // serial itself stays away
        feed.Add(1302, unchecked(serial - 2), "late");
        feed.Advance(5 * Second);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(feed.Counters.Late, Is.EqualTo(1));
            Assert.That(feed.Counters.Lost, Is.EqualTo(1));
            Assert.That(feed.Losses, Is.EqualTo(new[] { new AuditLoss(serial, serial, 1) }));
            Assert.That(feed.Taken, Has.Count.EqualTo(3), "a late record does not open its event again");
        }

        feed.AssertSums();
    }

    [Test]
    public void A_repeated_record_is_a_duplicate_and_not_late()
    {
        var feed = new Feed();
        feed.Add(1300, 10, "a=1");
        feed.Add(1300, 10, "a=1"); // while the event is open
        feed.Add(1320, 10);
        feed.Add(1320, 10); // after it was handed out
        feed.Add(1300, 10, "a=1");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(feed.Counters.Duplicates, Is.EqualTo(3));
            Assert.That(feed.Counters.Late, Is.Zero);
            Assert.That(feed.Counters.Lost, Is.Zero);
            Assert.That(feed.Taken, Is.EqualTo(new[] { "10 EndRecord 1300:a=1" }));
        }

        feed.AssertSums();
    }

    [Test]
    public void Repeated_io_uring_records_of_one_event_are_all_kept()
    {
        var feed = new Feed();
        feed.Add(1336, 10, "uring_op=16");
        feed.Add(1336, 10, "uring_op=16");
        feed.Add(1320, 10);

        Assert.That(feed.Taken, Is.EqualTo(new[] { "10 EndRecord 1336:uring_op=16 1336:uring_op=16" }));
    }

    [Test]
    public void A_serial_that_only_comes_later_is_not_lost()
    {
        var feed = new Feed();
        feed.Event(10);
        feed.Event(12);
        feed.Event(11);
        feed.Advance(5 * Second);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(feed.Taken, Has.Count.EqualTo(3));
            Assert.That(feed.Counters.Lost, Is.Zero);
            Assert.That(feed.Counters.Late, Is.Zero);
        }
    }

    [Test]
    public void A_gap_is_a_loss_only_after_some_patience()
    {
        var feed = new Feed();
        feed.Event(10);
        feed.Event(20);
        feed.Advance(Second - 1);
        Assert.That(feed.Losses, Is.Empty);

        feed.Advance(Second);

        Assert.That(feed.Losses, Is.EqualTo(new[] { new AuditLoss(11, 19, 9) }));
    }

    [Test]
    public void An_event_that_comes_after_it_was_given_up_is_still_handed_out()
    {
        var feed = new Feed();
        feed.Event(10);
        feed.Event(12);
        feed.Advance(2 * Second);
        feed.Event(11);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(feed.Taken, Has.Count.EqualTo(3));
            Assert.That(feed.Counters.Recovered, Is.EqualTo(1));
        }

        feed.AssertSums();
    }

    [TestCase(10u)]
    [TestCase(uint.MaxValue - 5)]
    public void A_gap_wider_than_the_window_is_counted_exactly(uint serial)
    {
        var feed = new Feed(new AuditReassemblerOptions { Window = 16 });
        feed.Event(serial);
        feed.Event(unchecked(serial + 1_000_001));
        feed.Event(unchecked(serial + 1_000_002));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(feed.Counters.Lost, Is.EqualTo(1_000_000));
            Assert.That(feed.Losses, Is.EqualTo(new[] { new AuditLoss(unchecked(serial + 1), unchecked(serial + 1_000_000), 1_000_000) }));
            Assert.That(feed.Taken, Has.Count.EqualTo(3));
        }

        feed.AssertSums();
    }

    [Test]
    public void Every_gap_is_counted_exactly_whatever_the_window()
    {
        var random = new Random(7);
        foreach (int window in new[] { 2, 16, 1024 })
        {
            var feed = new Feed(new AuditReassemblerOptions { Window = window });
            uint serial = uint.MaxValue - 300;
            long lost = 0;
            feed.Event(serial);
            for (int i = 0; i < 500; i++)
            {
                int gap = random.Next(4) == 0 ? random.Next(3 * window) : 0;
                lost += gap;
                serial = unchecked(serial + 1 + (uint)gap);
                feed.Event(serial);
            }

            feed.Advance(5 * Second);
            Assert.That(feed.Counters.Lost, Is.EqualTo(lost), $"window {window}");
            Assert.That(feed.Losses.Sum(loss => loss.Count), Is.EqualTo(lost), $"window {window}");
            feed.AssertSums();
        }
    }

    [Test]
    public void A_record_from_before_we_listened_is_late_not_lost()
    {
        var feed = new Feed();
        feed.Event(100);
        feed.Add(1320, 99);
        feed.Add(1320, 98);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(feed.Counters.Late, Is.EqualTo(2));
            Assert.That(feed.Counters.Lost, Is.Zero);
        }
    }

    [Test]
    public void An_end_record_alone_is_a_lost_event()
    {
        var feed = new Feed();
        feed.Event(10);
        feed.Add(1320, 11);
        feed.Event(12);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(feed.Losses, Is.EqualTo(new[] { new AuditLoss(11, 11, 1) }));
            Assert.That(feed.Counters.Headless, Is.EqualTo(1));
            Assert.That(feed.Taken, Has.Count.EqualTo(2));
        }
    }

    [Test]
    public void An_event_that_lost_its_head_is_handed_out_and_counted()
    {
        var feed = new Feed();
        feed.Add(1306, 10, "saddr=00");
        feed.Add(1320, 10);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(feed.Taken, Has.Count.EqualTo(1));
            Assert.That(feed.Counters.Lost, Is.EqualTo(1));
        }
    }

    [Test]
    public void Serials_that_begin_anew_with_a_later_stamp_are_a_restart_not_a_loss()
    {
        var feed = new Feed();
        feed.Event(5_000_000, milliseconds: 1000);
        feed.Event(7, milliseconds: 2000);
        feed.Event(8, milliseconds: 2001);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(feed.Counters.Restarts, Is.EqualTo(1));
            Assert.That(feed.Counters.Lost, Is.Zero);
            Assert.That(feed.Taken, Has.Count.EqualTo(3));
        }
    }

    [Test]
    public void A_serial_far_behind_with_an_old_stamp_is_late()
    {
        var feed = new Feed();
        feed.Event(5_000_000, milliseconds: 2000);
        feed.Add(1320, 7, milliseconds: 1000);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(feed.Counters.Late, Is.EqualTo(1));
            Assert.That(feed.Counters.Restarts, Is.Zero);
        }
    }

    [Test]
    public void A_record_with_the_serial_of_an_open_event_but_another_stamp_is_refused()
    {
        var feed = new Feed();
        feed.Add(1300, 10, "a=1", milliseconds: 5);
        feed.Add(1306, 10, "a=2", milliseconds: 6);
        feed.Add(1320, 10, milliseconds: 5);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(feed.Counters.Contradictory, Is.EqualTo(1));
            Assert.That(feed.Taken, Is.EqualTo(new[] { "10 EndRecord 1300:a=1" }));
        }

        feed.AssertSums();
    }

    [Test]
    public void The_oldest_open_event_makes_room_for_a_new_one()
    {
        var feed = new Feed(new AuditReassemblerOptions { MaxEvents = 3 });
        for (uint serial = 1; serial <= 10; serial++)
        {
            feed.Add(1300, serial, $"a={serial}");
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(feed.Counters.Evicted, Is.EqualTo(7));
            Assert.That(feed.Counters.Dropped, Is.Zero);
            Assert.That(feed.Taken[0], Is.EqualTo("1 Evicted 1300:a=1"));
            Assert.That(feed.Reassembler.OpenEvents, Is.EqualTo(3));
        }

        feed.AssertSums();
    }

    [Test]
    public void Events_that_nobody_takes_are_dropped_and_counted()
    {
        var reassembler = new AuditReassembler(new AuditReassemblerOptions { MaxEvents = 4 });
        for (uint serial = 1; serial <= 100; serial++)
        {
            foreach (ushort type in new ushort[] { 1300, 1320 })
            {
                Add(reassembler, type, serial, "", 0, 0);
            }
        }

        int taken = 0;
        while (reassembler.TryTake(out _))
        {
            taken++;
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(taken, Is.EqualTo(5));
            Assert.That(reassembler.Counters.Dropped, Is.EqualTo(95));
            Assert.That(reassembler.Counters.Opened, Is.EqualTo(reassembler.Counters.Taken + reassembler.Counters.Dropped));
        }
    }

    [Test]
    public void A_command_line_of_megabytes_does_not_push_out_what_follows()
    {
        var feed = new Feed(new AuditReassemblerOptions { MaxEventBytes = 4096 });
        feed.Add(1300, 10, "arch=c000003e");
        for (int i = 0; i < 100; i++)
        {
            feed.Add(1309, 10, $"a{i}=" + new string('6', 100));
        }

        feed.Add(1307, 10, "cwd=\"/\"");
        feed.Add(1302, 10, "item=0 name=\"/bin/sh\"");
        feed.Add(1320, 10);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(feed.Taken[0], Does.EndWith("1307:cwd=\"/\" 1302:item=0 name=\"/bin/sh\" truncated"));
            Assert.That(feed.Counters.Cut, Is.Positive);
        }

        feed.AssertSums();
    }

    [Test]
    public void The_number_of_records_of_an_event_is_bounded()
    {
        var feed = new Feed(new AuditReassemblerOptions { MaxEventRecords = 5 });
        feed.Add(1300, 10);
        for (int i = 0; i < 100; i++)
        {
            feed.Add(1302, 10);
        }

        feed.Add(1320, 10);
        Assert.That(feed.Counters.Cut, Is.EqualTo(96));
        feed.AssertSums();
    }

    [Test]
    public void A_reset_forgets_the_serials_and_loses_nothing()
    {
        var feed = new Feed();
        feed.Event(10);
        feed.Add(1300, 11, "a=1");
        feed.Reassembler.Reset();
        feed.Event(1_000_000);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(feed.Taken, Has.Count.EqualTo(3));
            Assert.That(feed.Taken[1], Is.EqualTo("11 Flushed 1300:a=1"));
            Assert.That(feed.Counters.Lost, Is.Zero);
        }
    }

    [Test]
    public void Grouping_does_not_allocate()
    {
        var reassembler = new AuditReassembler();
        byte[] text = Encoding.ASCII.GetBytes("audit(1.000:0000000000): " + new string('x', 300));
        _ = Storm(reassembler, text, 1, 2000);

        long before = GC.GetAllocatedBytesForCurrentThread();
        int events = Storm(reassembler, text, 2001, 50_000);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(events, Is.EqualTo(50_000));
            Assert.That(allocated, Is.Zero);
        }
    }

    [Test]
    public void Any_order_of_any_records_keeps_the_sums()
    {
        ushort[] types = [1300, 1302, 1306, 1309, 1320, 1320, 1327, 1336, 1112, 1305, 1700];
        for (int seed = 0; seed < 40; seed++)
        {
            var random = new Random(seed);
            var feed = new Feed(new AuditReassemblerOptions { MaxEvents = random.Next(1, 6), Window = 1 << random.Next(1, 6), MaxEventRecords = 3 });
            uint serial = unchecked((uint)-random.Next(100));
            for (int i = 0; i < 2000; i++)
            {
                serial = unchecked(serial + (uint)random.Next(3));
                uint chosen = unchecked(serial - (uint)(random.Next(6) == 0 ? random.Next(100) : 0));
                feed.Now += random.Next(100) == 0 ? 3 * Second : 1000;
                feed.Add(types[random.Next(types.Length)], chosen, "x", milliseconds: random.Next(50) == 0 ? 1 : 0);
            }

            feed.Reassembler.Flush();
            feed.Take();
            feed.AssertSums();
            Assert.That(feed.Reassembler.OpenEvents, Is.Zero);
        }
    }

    private static int Storm(AuditReassembler reassembler, byte[] text, uint first, int count)
    {
        int taken = 0;
        for (uint serial = first; serial < first + count; serial++)
        {
            int at = 12;
            uint rest = serial;
            for (int digit = 9; digit >= 0; digit--)
            {
                text[at + digit] = (byte)('0' + (rest % 10));
                rest /= 10;
            }

            foreach (ushort type in StormTypes)
            {
                _ = AuditRecord.TryParse(type, text, out AuditRecord record);
                reassembler.Add(record, serial);
            }

            while (reassembler.TryTake(out AuditEvent auditEvent))
            {
                taken += auditEvent.Count == 3 ? 1 : 0;
            }
        }

        return taken;
    }

    private static void Add(AuditReassembler reassembler, ushort type, uint serial, string fields, long milliseconds, long now)
    {
        byte[] text = Encoding.ASCII.GetBytes($"audit({milliseconds / 1000}.{milliseconds % 1000:d3}:{serial}): {fields}");
        Assert.That(AuditRecord.TryParse(type, text, out AuditRecord record), Is.EqualTo(OperationStatus.Done));
        reassembler.Add(record, now);
    }

    private sealed class Feed(AuditReassemblerOptions? options = null)
    {
        public AuditReassembler Reassembler { get; } = new(options);

        public long Now { get; set; }

        public List<string> Taken { get; } = [];

        public List<AuditLoss> Losses { get; } = [];

        public AuditReassemblerCounters Counters => Reassembler.Counters;

        public void Event(uint serial, long milliseconds = 0)
        {
            Add(1300, serial, "a=1", milliseconds);
            Add(1320, serial, "", milliseconds);
        }

        public void Add(ushort type, uint serial, string fields = "", long milliseconds = 0)
        {
            AuditReassemblerTests.Add(Reassembler, type, serial, fields, milliseconds, Now);
            Take();
        }

        public void Advance(long now)
        {
            Now = now;
            Reassembler.Advance(now);
            Take();
        }

        public void Take()
        {
            while (Reassembler.TryTake(out AuditEvent auditEvent))
            {
                var text = new StringBuilder($"{auditEvent.Serial} {auditEvent.End}");
                foreach (AuditEventRecord record in auditEvent)
                {
                    text.Append(null, $" {record.Type}:{Encoding.ASCII.GetString(record.Fields)}");
                }

                Taken.Add(text.Append(auditEvent.IsTruncated ? " truncated" : "").ToString());
            }

            if (Reassembler.TryTakeLoss(out AuditLoss loss))
            {
                Losses.Add(loss);
            }
        }

        public void AssertSums()
        {
            AuditReassemblerCounters sums = Counters;
            using (Assert.EnterMultipleScope())
            {
                Assert.That(
                    sums.Kept + sums.EndRecords + sums.Late + sums.Duplicates + sums.Contradictory + sums.Cut,
                    Is.EqualTo(sums.Records));
                Assert.That(sums.Taken + sums.Dropped + Reassembler.OpenEvents, Is.EqualTo(sums.Opened));
                Assert.That(Taken, Has.Count.EqualTo(sums.Taken));
                Assert.That(Losses.Sum(loss => loss.Count), Is.EqualTo(sums.Lost));
            }
        }
    }
}
