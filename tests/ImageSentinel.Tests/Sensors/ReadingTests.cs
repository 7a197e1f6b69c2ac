using ImageSentinel.Interop;
using ImageSentinel.Sensors.Reading;
using ImageSentinel.Sensors.Stream;
using NUnit.Framework;

namespace ImageSentinel.Tests.Sensors;

public sealed class ReadingTests
{
    [Test]
    public void Handed_over_items_come_out_in_order_and_completion_lets_the_rest_through()
    {
        var handoff = new Handoff<int>(capacity: 2);
        var taken = new List<int>();
        var worker = new Thread(() =>
        {
            while (handoff.TryTake(out int item))
            {
                taken.Add(item);
            }
        });

        worker.Start();
        for (int i = 0; i < 1000; i++)
        {
            handoff.Add(i);
        }

        handoff.Complete();
        worker.Join();

        Assert.That(taken, Is.EqualTo(Enumerable.Range(0, 1000)));
    }

    [Test]
    public void Full_handoff_makes_the_reader_wait_and_never_drops()
    {
        var handoff = new Handoff<int>(capacity: 1);
        handoff.Add(1);
        using var added = new ManualResetEventSlim();
        var reader = new Thread(() =>
        {
            handoff.Add(2);
            added.Set();
        });
        reader.Start();

        bool early = added.Wait(TimeSpan.FromMilliseconds(20));
        handoff.TryTake(out int first);
        reader.Join();
        handoff.TryTake(out int second);

        Assert.That((early, first, second), Is.EqualTo((false, 1, 2)));
    }

    [Test]
    public void Reader_that_got_nothing_sleeps_for_data_and_a_stop_wakes_it_from_a_pause()
    {
        using var stop = Wakeup.Create();
        int waits = 0;
        Func<PollResult> wait = () =>
        {
            waits++;
            return PollResult.Readable;
        };
        var gathering = new Gathering(TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(10));

        bool quiet = gathering.Sleep(delivered: false, stop, wait);
        stop.Signal();

        // Two deliveries in a row are a busy spell, or this machine slept between the lines and they are not; stopped or
        // told of data, never asleep for ten minutes.
        bool first = gathering.Sleep(delivered: true, stop, wait);
        bool second = gathering.Sleep(delivered: true, stop, wait);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(quiet, Is.False);
            Assert.That(waits, Is.InRange(1, 3));
            Assert.That(first || second || waits == 3, Is.True);
        }
    }

    [Test]
    public void Received_is_the_sum_of_queued_and_dropped_at_every_moment()
    {
        var ledger = new LossLedger();
        bool stop = false;
        var writer = new Thread(() =>
        {
            for (int i = 0; !Volatile.Read(ref stop); i++)
            {
                ledger.Moved(3, queued: i % 2 == 0);
            }
        });
        writer.Start();

        bool held = true;
        for (int i = 0; i < 10_000; i++)
        {
            LossTotals totals = ledger.Snapshot();
            held &= totals.Received == totals.Queued + totals.Dropped;
        }

        Volatile.Write(ref stop, true);
        writer.Join();
        Assert.That(held, Is.True);
    }
}
