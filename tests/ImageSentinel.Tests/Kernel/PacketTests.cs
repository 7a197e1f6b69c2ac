using System.Buffers;
using System.Text;
using ImageSentinel.Kernel.Packets;
using NUnit.Framework;

namespace ImageSentinel.Tests.Kernel;

/// <summary>Packets that carry names, well made and not.</summary>
public sealed class PacketTests
{
    private static string Name(byte[] message, int offset, out OperationStatus status)
    {
        Span<char> text = stackalloc char[DnsName.MaximumText];
        status = DnsName.TryRead(message, offset, text, out int written, out _);
        return new string(text[..written]);
    }

    [Test]
    public void Bytes_that_no_host_name_holds_are_escaped()
    {
        byte[] message = [5, (byte)'A', (byte)'.', 0x1B, (byte)'b', 0xFF, 3, (byte)'c', (byte)'o', (byte)'m', 0];
        Assert.That(Name(message, 0, out _), Is.EqualTo(@"a\.\027b\255.com"));
    }

    [TestCase(new byte[] { 0xC0, 0x00 }, 0, Description = "points at itself")]
    [TestCase(new byte[] { 0xC0, 0x02, 0xC0, 0x00 }, 2, Description = "two that point at each other")]
    [TestCase(new byte[] { 0xC0, 0x04, 0, 0, 0 }, 0, Description = "points forward")]
    [TestCase(new byte[] { 0x40, 1, 0 }, 0, Description = "reserved label type")]
    public void A_name_that_could_loop_is_refused(byte[] message, int offset)
    {
        _ = Name(message, offset, out OperationStatus status);
        Assert.That(status, Is.EqualTo(OperationStatus.InvalidData));
    }

    [TestCase(new byte[] { }, 0)]
    [TestCase(new byte[] { 63, 1, 2 }, 0)]
    [TestCase(new byte[] { 1, 97, 0xC0 }, 0)]
    public void A_name_that_was_cut_needs_more(byte[] message, int offset)
    {
        _ = Name(message, offset, out OperationStatus status);
        Assert.That(status, Is.EqualTo(OperationStatus.NeedMoreData));
    }

    [Test]
    public void A_name_of_more_than_255_bytes_is_refused()
    {
        byte[] message = [.. Enumerable.Repeat((byte[])[63, .. Enumerable.Repeat((byte)'a', 63)], 5).SelectMany(static l => l), 0];
        _ = Name(message, 0, out OperationStatus status);
        Assert.That(status, Is.EqualTo(OperationStatus.InvalidData));
    }

    [Test]
    public void The_server_name_of_a_hello_is_found_wherever_it_is_cut()
    {
        byte[] hello = PacketSamples.Hello("mirror.corp.example", split: 0);
        byte[] scratch = new byte[ClientHello.MaximumStream];
        OperationStatus whole = ClientHello.TryParse(hello, scratch, out ClientHello parsed);
        string name = Encoding.ASCII.GetString(parsed.Name);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(whole, Is.EqualTo(OperationStatus.Done));
            Assert.That(name, Is.EqualTo("mirror.corp.example"));
            for (int length = 2; length < hello.Length; length++)
            {
                OperationStatus status = ClientHello.TryParse(hello.AsSpan(0, length), scratch, out ClientHello cut);
                Assert.That(status == OperationStatus.NeedMoreData || cut.Name.SequenceEqual("mirror.corp.example"u8), $"cut at {length}: {status}");
            }
        }
    }

    [TestCase(1)]
    [TestCase(5)]
    [TestCase(40)]
    public void A_hello_cut_into_several_records_is_put_together(int split)
    {
        OperationStatus status = ClientHello.TryParse(PacketSamples.Hello("a.example", split), new byte[ClientHello.MaximumStream], out ClientHello hello);
        Assert.That(status, Is.EqualTo(OperationStatus.Done));
        Assert.That(Encoding.ASCII.GetString(hello.Name), Is.EqualTo("a.example"));
    }

    [TestCase("GET /a HTTP/1.1\r\nAccept: */*\r\nHOST:  evil.example \r\n\r\n", OperationStatus.Done, "evil.example")]
    [TestCase("GET /a HTTP/1.1\nHost: a\n\n", OperationStatus.Done, "a")]
    [TestCase("GET /a HTTP/1.1\r\n\r\nHost: body\r\n", OperationStatus.Done, "")]
    [TestCase("GET /a HTTP/1.1\r\nHo", OperationStatus.Done, "")]
    [TestCase("GET /a", OperationStatus.NeedMoreData, "")]
    [TestCase("GE", OperationStatus.NeedMoreData, "")]
    [TestCase("GET /a b c\r\n", OperationStatus.InvalidData, "")]
    [TestCase("SSH-2.0-x\r\n", OperationStatus.InvalidData, "")]
    [TestCase(" GET", OperationStatus.InvalidData, "")]
    public void The_host_of_a_request_is_read_from_its_head_only(string text, OperationStatus expected, string host)
    {
        OperationStatus status = HttpRequestHead.TryParse(Encoding.Latin1.GetBytes(text), out HttpRequestHead head);
        Assert.That(status, Is.EqualTo(expected));
        Assert.That(Encoding.Latin1.GetString(head.Host), Is.EqualTo(host));
    }

    [TestCase(
        "POST /v1.41/build?t=app&buildargs=%7B%22TOKEN%22%3A%22s3cret%22%7D&remote=https%3A%2F%2Fu%3As3cret%40git.example%2Fr.git%3Ftoken%3Ds3cret HTTP/1.1\r\nHost: h\r\nX-Registry-Config: s3cret\r\n\r\n",
        "POST /v1.41/build?t=app&remote=https://***@git.example/r.git HTTP/1.1\r\nHost: h\r\n\r\n")]
    [TestCase("GET /x?token=s3cret HTTP/1.1\r\nHost: h\r\nAuthorization: Basic s3cret\r\n\r\n", "GET /x HTTP/1.1\r\nHost: h\r\n\r\n")]
    [TestCase("GET http://u:s3cret@h/x?s3cret HTTP/1.1\r\nProxy-Authorization: s3cret\r\n\r\n", "GET http://***@h/x HTTP/1.1\r\nHost: \r\n\r\n")]
    [TestCase("POST /v1.41/build?t=app&buildargs=s3cre", "POST /v1.41/build")]
    [TestCase("SSH-2.0-OpenSSH\r\n", "SSH-2.0-OpenSSH\r\n")]
    public void Secrets_of_a_request_never_leave_the_buffer(string text, string expected)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(text);
        int length = HttpRequestTrim.Apply(bytes);
        string kept = Encoding.Latin1.GetString(bytes, 0, length);
        Assert.That(kept, Is.EqualTo(expected).And.Not.Contain("s3cre"));
    }

    [TestCase(IpPacket.EtherTypeIPv4, 0, "GET / HTTP/1.1\r\n", true)]
    [TestCase(IpPacket.EtherTypeIPv4, 0, "\u0016\u0003\u0001", true)]
    [TestCase(IpPacket.EtherTypeIPv4, 0, "SSH-2.0-OpenSSH", false)]
    [TestCase(IpPacket.EtherTypeIPv4, 0, "", false)]
    [TestCase(IpPacket.EtherTypeIPv6, 0, "CONNECT a:443 HTTP/1.1", true)]
    [TestCase(IpPacket.EtherTypeIPv6, 0, "xxxx", false)]
    [TestCase(IpPacket.EtherTypeIPv4, 53, "x", true)]
    [TestCase(IpPacket.EtherTypeIPv4, 443, "\u0017\u0003\u0003data", false)]
    [TestCase(IpPacket.EtherTypeIPv4, 443, "the rest of a hello", true)]
    public void The_filter_lets_through_what_carries_names(int etherType, int port, string data, bool passes)
    {
        FilterInstruction[] filter = NameFilter.Build([(0x0A000000, 0xFF000000)], [2375]);
        byte[] packet = PacketSamples.Tcp(etherType, [203, 0, 113, 66], (ushort)(port == 0 ? 8080 : port), Encoding.Latin1.GetBytes(data));
        Assert.That(FilterMachine.Run(filter, packet, (ushort)etherType), passes ? Is.EqualTo(NameFilter.SnapLength) : Is.Zero);
    }

    [TestCase(80, false)]
    [TestCase(2375, true)]
    public void Requests_to_this_host_are_nobodys_business_unless_they_are_for_an_engine(int port, bool passes)
    {
        FilterInstruction[] filter = NameFilter.Build([(0x0A000000, 0xFF000000)], [2375]);
        byte[] packet = PacketSamples.Tcp(IpPacket.EtherTypeIPv4, [10, 1, 2, 3], (ushort)port, "POST /build HTTP/1.1\r\n"u8);
        Assert.That(FilterMachine.Run(filter, packet, IpPacket.EtherTypeIPv4), passes ? Is.EqualTo(NameFilter.SnapLength) : Is.Zero);
    }

    [TestCaseSource(typeof(PacketFuzz), nameof(PacketFuzz.Targets))]
    public void Damaged_messages_never_throw_and_promises_hold(string target)
    {
        var fuzz = new PacketFuzz(target, 1612);
        for (int i = 0; i < (target == "feed" ? 3_000 : 50_000); i++)
        {
            try
            {
                fuzz.Next();
            }
            catch (Exception e)
            {
                Assert.Fail($"{target}, input {i}: {Convert.ToHexString(fuzz.Input)}\n{e}");
            }
        }

        Assert.That(fuzz.Verdicts[0], Is.Positive, "some survive");
        Assert.That(fuzz.Verdicts[1] + fuzz.Verdicts[2], Is.Positive, "some do not");
    }
}
