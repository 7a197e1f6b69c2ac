using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using ImageSentinel.Kernel.Audit;
using ImageSentinel.Kernel.Netlink;
using ImageSentinel.Kernel.Numbers;
using NUnit.Framework;

namespace ImageSentinel.Tests.Kernel;

public sealed class NetlinkTests
{
    [TestCase("audit-multicast.bin")]
    [TestCase("audit-unicast.bin")]
    public void An_audit_datagram_is_read_whole_whatever_its_length_field_says(string capture)
    {
        var texts = new List<string>();
        foreach (byte[] datagram in KernelCorpus.Prefixed(KernelCorpus.Read("netlink", capture)))
        {
            Assert.That(NetlinkFrame.TryReadAudit(datagram, out NetlinkFrame frame), Is.EqualTo(OperationStatus.Done));
            Assert.That(AuditRecord.TryParse(frame.Type, frame.Payload, out AuditRecord record), Is.EqualTo(OperationStatus.Done));
            texts.Add($"{record.Type} {record.Serial} {Encoding.ASCII.GetString(record.Fields)}");
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(texts, Has.Count.EqualTo(8));
            Assert.That(texts[0], Does.StartWith("1300 2879419 arch=c000003e").And.EndsWith("\""));
            Assert.That(texts.Count(text => text.StartsWith("1320", StringComparison.Ordinal)), Is.EqualTo(2));
        }
    }

    [TestCase(-16, OperationStatus.Done, 24)]
    [TestCase(0, OperationStatus.Done, 24)]
    [TestCase(-2, OperationStatus.Done, 22, Description = "padded to four bytes")]
    [TestCase(-4, OperationStatus.InvalidData, 0)]
    [TestCase(-20, OperationStatus.InvalidData, 0)]
    [TestCase(1, OperationStatus.InvalidData, 0)]
    [TestCase(16, OperationStatus.InvalidData, 0)]
    public void A_length_that_contradicts_the_datagram_is_refused(int difference, OperationStatus expected, int payload)
    {
        byte[] datagram = new byte[40];
        BinaryPrimitives.WriteInt32LittleEndian(datagram, 40 + difference);

        OperationStatus status = NetlinkFrame.TryReadAudit(datagram, out NetlinkFrame frame);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(status, Is.EqualTo(expected));
            Assert.That(frame.Payload.Length, Is.EqualTo(payload));
        }
    }

    [Test]
    public void Several_messages_of_a_datagram_are_read_and_the_last_may_lack_its_padding()
    {
        byte[] datagram = [.. Message(1, "abc"), 0, .. Message(2, ""), .. Message(3, "xy")];

        var reader = new NetlinkFrameReader(datagram);
        var seen = new List<string>();
        while (reader.TryRead(out NetlinkFrame frame))
        {
            seen.Add($"{frame.Type}:{Encoding.ASCII.GetString(frame.Payload)}");
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(seen, Is.EqualTo(new[] { "1:abc", "2:", "3:xy" }));
            Assert.That(reader.IsMalformed, Is.False);
        }
    }

    [TestCase(15u)]
    [TestCase(0u)]
    [TestCase(1000u)]
    [TestCase(uint.MaxValue)]
    public void What_stands_before_a_broken_message_stays_valid(uint length)
    {
        byte[] datagram = [.. Message(1, "abcd"), .. Message(2, "efgh")];
        BinaryPrimitives.WriteUInt32LittleEndian(datagram.AsSpan(20), length);

        var reader = new NetlinkFrameReader(datagram);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(reader.TryRead(out NetlinkFrame first), Is.True);
            Assert.That(first.Type, Is.EqualTo(1));
            Assert.That(reader.TryRead(out _), Is.False);
            Assert.That(reader.IsMalformed, Is.True);
            Assert.That(reader.TryRead(out _), Is.False);
        }
    }

    [TestCase(0, true)]
    [TestCase(-17, false)]
    public void An_answer_tells_what_it_answers(int code, bool acknowledged)
    {
        NetlinkFrame frame = Frame(Error(code, flags: 0, attributes: []));

        Assert.That(NetlinkError.TryParse(frame, out NetlinkError error), Is.EqualTo(OperationStatus.Done));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(error.IsAcknowledgement, Is.EqualTo(acknowledged));
            Assert.That(error.Errno, Is.EqualTo(-code));
            Assert.That(error.RequestType, Is.EqualTo(AuditConstants.AUDIT_ADD_RULE));
            Assert.That(error.RequestSequence, Is.EqualTo(77));
        }
    }

    [Test]
    public void An_answer_carries_the_kernels_explanation()
    {
        byte[] text = [10, 0, (byte)NetlinkConstants.NLMSGERR_ATTR_MSG, 0, .. "hello\0"u8];
        NetlinkFrame frame = Frame(Error(-22, NetlinkConstants.NLM_F_CAPPED | NetlinkConstants.NLM_F_ACK_TLVS, text));

        Assert.That(NetlinkError.TryParse(frame, out NetlinkError error), Is.EqualTo(OperationStatus.Done));
        Assert.That(Encoding.ASCII.GetString(error.Message), Is.EqualTo("hello"));
    }

    [TestCase(1)]
    [TestCase(int.MinValue)]
    public void An_errno_that_is_none_is_refused(int code)
        => Assert.That(NetlinkError.TryParse(Frame(Error(code, 0, [])), out _), Is.EqualTo(OperationStatus.InvalidData));

    [Test]
    public void A_header_is_written_as_it_is_read()
    {
        byte[] message = new byte[20];
        int length = NetlinkFrame.WriteHeader(message, AuditConstants.AUDIT_GET, NetlinkConstants.NLM_F_REQUEST, 9, 4);

        NetlinkFrame frame = Frame(message);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(length, Is.EqualTo(20));
            Assert.That((frame.Type, frame.Flags, frame.Sequence, frame.PortId), Is.EqualTo((AuditConstants.AUDIT_GET, NetlinkConstants.NLM_F_REQUEST, 9u, 0u)));
            Assert.That(frame.Payload.Length, Is.EqualTo(4));
        }
    }

    [Test]
    public void Attributes_are_stepped_over_by_their_padded_length()
    {
        byte[] attributes = [5, 0, 1, 0, 7, 0, 0, 0, 8, 0, 2, 0x80, 1, 2, 3, 4, 6, 0, 3, 0x40, 9, 9];
        var reader = new NetlinkAttributeReader(attributes);
        var seen = new List<string>();
        while (reader.TryRead())
        {
            seen.Add($"{reader.Type} {reader.IsNested} {Convert.ToHexString(reader.Value)}");
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(seen, Is.EqualTo(new[] { "1 False 07", "2 True 01020304", "3 False 0909" }));
            Assert.That(reader.IsMalformed, Is.False);
        }
    }

    [TestCase(new byte[] { 3, 0, 1, 0 })]
    [TestCase(new byte[] { 9, 0, 1, 0, 1, 2, 3, 4 })]
    [TestCase(new byte[] { 4, 0, 1 })]
    public void Attributes_that_contradict_their_bytes_are_refused(byte[] attributes)
    {
        var reader = new NetlinkAttributeReader(attributes);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(reader.TryRead(), Is.False);
            Assert.That(reader.IsMalformed, Is.True);
        }
    }

    private static byte[] Message(ushort type, string payload)
    {
        byte[] message = new byte[NetlinkFrame.HeaderSize + payload.Length];
        NetlinkFrame.WriteHeader(message, type, 0, 0, payload.Length);
        Encoding.ASCII.GetBytes(payload, message.AsSpan(NetlinkFrame.HeaderSize));
        return message;
    }

    private static byte[] Error(int code, ushort flags, byte[] attributes)
    {
        byte[] message = new byte[36 + attributes.Length];
        NetlinkFrame.WriteHeader(message, NetlinkConstants.NLMSG_ERROR, flags, 77, 20 + attributes.Length);
        BinaryPrimitives.WriteInt32LittleEndian(message.AsSpan(16), code);
        NetlinkFrame.WriteHeader(message.AsSpan(20), AuditConstants.AUDIT_ADD_RULE, 5, 77, 0);
        attributes.CopyTo(message, 36);
        return message;
    }

    private static NetlinkFrame Frame(byte[] message)
    {
        var reader = new NetlinkFrameReader(message);
        Assert.That(reader.TryRead(out NetlinkFrame frame), Is.True);
        return frame;
    }
}
