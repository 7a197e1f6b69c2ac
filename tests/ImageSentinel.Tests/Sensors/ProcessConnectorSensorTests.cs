using System.Buffers.Binary;
using System.Diagnostics;
using ImageSentinel.Sensors.Processes;
using ImageSentinel.Sensors.Stream;
using ImageSentinel.Tests.Support;
using NUnit.Framework;

namespace ImageSentinel.Tests.Sensors;

[RequiresRoot]
public sealed class ProcessConnectorSensorTests
{
    private const uint Fork = 1;
    private const uint Exec = 2;
    private const uint Exit = 0x80000000;

    [Test]
    public async Task Process_that_lives_a_millisecond_is_seen_from_fork_to_exit()
    {
        var queue = new CollectingQueue();
        await using var sensor = new ProcessConnectorSensor();
        sensor.Start(queue);
        Assert.That(sensor.Status, Is.EqualTo(new SensorStatus(SensorHealth.Active, "")));

        using Process child = Process.Start("/bin/true");
        int pid = child.Id;
        await child.WaitForExitAsync();

        // proc_event data: fork names the child third and fourth, exec and exit name the process first and second.
        bool all = queue.WaitFor(items =>
        {
            (uint What, uint A, uint C)[] events = [.. Events(items)];
            return events.Any(e => e.What == Fork && e.C == pid)
                && events.Any(e => e.What == Exec && e.A == pid)
                && events.Any(e => e.What == Exit && e.A == pid);
        });

        Assert.That(all, Is.True);
    }

    [Test]
    public async Task Received_is_queued_plus_dropped_while_the_queue_is_full_and_after()
    {
        var queue = new CollectingQueue { Full = true };
        await using var sensor = new ProcessConnectorSensor();
        sensor.Start(queue);

        Spawn(20);
        SpinWait.SpinUntil(() => queue.Refused >= 60, TimeSpan.FromSeconds(15));
        queue.Full = false;
        Spawn(20);
        queue.WaitFor(items => Events(items).Count(e => e.What == Exit) >= 20);
        await sensor.DisposeAsync();
        LossTotals totals = sensor.Losses;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(totals.Dropped, Is.EqualTo(queue.Refused).And.GreaterThanOrEqualTo(60));
            Assert.That(totals.Queued, Is.EqualTo(queue.Records).And.GreaterThanOrEqualTo(60));
            Assert.That(totals.Received, Is.EqualTo(totals.Queued + totals.Dropped));
            Assert.That(Events(queue.Items).Count(), Is.EqualTo(totals.Queued));
        }
    }

    private static void Spawn(int count)
    {
        for (int i = 0; i < count; i++)
        {
            using Process child = Process.Start("/bin/true");
            child.WaitForExit();
        }
    }

    private static IEnumerable<(uint What, uint A, uint C)> Events(IEnumerable<SensorItem> items)
        => CollectingQueue.Datagrams(items, SensorKind.Processes)
            .Where(d => d.Length >= 68)
            .Select(d => (Word(d, 36), Word(d, 52), Word(d, 60)));

    private static uint Word(byte[] datagram, int at) => BinaryPrimitives.ReadUInt32LittleEndian(datagram.AsSpan(at));
}
