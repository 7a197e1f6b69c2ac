using System.Buffers.Binary;
using ImageSentinel.Interop;
using ImageSentinel.Sensors.Reading;
using ImageSentinel.Sensors.Stream;
using ImageSentinel.Tests.Support;
using NUnit.Framework;

namespace ImageSentinel.Tests.Interop;

[RequiresRoot]
public sealed class NetlinkTests
{
    [Test]
    public void Datagram_from_a_process_is_refused_and_counted()
    {
        using NetlinkSocket victim = NetlinkSocket.Open(NetlinkFamily.Connector);
        using NetlinkSocket impostor = NetlinkSocket.Open(NetlinkFamily.Connector);
        using var reader = new NetlinkReader(victim);

        impostor.Send(Message(type: 3, payload: 20), victim.PortId);
        impostor.Send(Message(type: 3, payload: 20), victim.PortId);
        NetlinkReceipt receipt = reader.Receive();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(receipt.Foreign, Is.EqualTo(2));
            Assert.That(receipt.Records, Is.Zero);
            Assert.That(reader.CopyTo([]), Is.Zero);
        }
    }

    [Test]
    public void Datagram_from_a_process_that_claims_to_be_the_kernel_in_its_header_is_refused_too()
    {
        using NetlinkSocket victim = NetlinkSocket.Open(NetlinkFamily.Connector);
        using NetlinkSocket impostor = NetlinkSocket.Open(NetlinkFamily.Connector);
        using var reader = new NetlinkReader(victim);
        byte[] message = Message(type: 1300, payload: 40);
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(12), 0); // nlmsg_pid: the sender's word

        impostor.Send(message, victim.PortId);

        Assert.That(reader.Receive(), Has.Property(nameof(NetlinkReceipt.Foreign)).EqualTo(1).And.Property(nameof(NetlinkReceipt.Records)).Zero);
    }

    [Test]
    public void Pump_keeps_counting_impostors_and_delivers_nothing_of_theirs()
    {
        var queue = new CollectingQueue();
        var ledger = new LossLedger();
        NetlinkSocket victim = NetlinkSocket.Open(NetlinkFamily.Connector);
        uint port = victim.PortId;
        using (var pump = new NetlinkPump(SensorKind.Processes, victim, queue, ledger, "test", _ => { }))
        {
            pump.Start();
            using NetlinkSocket impostor = NetlinkSocket.Open(NetlinkFamily.Connector);
            impostor.Send(Message(type: 3, payload: 20), port);

            SpinWait.SpinUntil(() => ledger.Foreign == 1, TimeSpan.FromSeconds(15));
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(ledger.Foreign, Is.EqualTo(1));
            Assert.That(queue.Items, Is.Empty);
            Assert.That(ledger.Snapshot(), Is.EqualTo(new LossTotals(0, 0, 0, 0, 0)));
        }
    }

    [Test]
    public void Overflow_is_told_once_and_reading_goes_on()
    {
        // A tiny buffer and nobody reading: the kernel must drop.
        using NetlinkSocket socket = NetlinkSocket.Open(NetlinkFamily.Connector, groups: 1);
        socket.SetReceiveBuffer(4096);
        using var reader = new NetlinkReader(socket);
        Subscribe(socket);
        for (int i = 0; i < 200; i++)
        {
            using ChildProcess child = ChildProcess.Start("/bin/true");
            child.TryWait(TimeSpan.FromSeconds(5));
        }

        NetlinkReceipt first = reader.Receive();
        while (reader.Receive().Records > 0)
        {
        }

        using ChildProcess another = ChildProcess.Start("/bin/true");
        another.TryWait(TimeSpan.FromSeconds(5));
        NetlinkReceipt after = reader.Receive();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(first.Overflowed, Is.True);
            Assert.That(after.Overflowed, Is.False);
            Assert.That(after.Records, Is.GreaterThan(0));
        }
    }

    [Test]
    public void Closed_pump_leaves_no_thread_and_may_be_closed_before_it_ran()
    {
        var pump = new NetlinkPump(
            SensorKind.Processes, NetlinkSocket.Open(NetlinkFamily.Connector), new CollectingQueue(), new LossLedger(), "test", _ => { });

        Assert.That(pump.Dispose, Throws.Nothing);
    }

    private static byte[] Message(ushort type, int payload)
    {
        byte[] message = new byte[16 + payload];
        BinaryPrimitives.WriteInt32LittleEndian(message, message.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(4), type);
        return message;
    }

    private static void Subscribe(NetlinkSocket socket)
    {
        byte[] message = Message(type: 3, payload: 24);
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(16), 1);
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(20), 1);
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(32), 4);
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(36), 1);
        socket.Send(message);
    }
}
