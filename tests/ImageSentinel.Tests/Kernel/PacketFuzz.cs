using System.Buffers;
using System.Text;
using ImageSentinel.Detection.Indicators;
using ImageSentinel.Kernel.Packets;

namespace ImageSentinel.Tests.Kernel;

/// <summary>Well-formed messages, damaged at random, through the parsers of what strangers send. The seed makes it repeat.</summary>
/// <remarks>Shared by the unit tests (a few thousand inputs) and the benchmark program's <c>fuzz</c> command (millions).</remarks>
internal sealed class PacketFuzz(string target, int seed)
{
    public static readonly string[] Targets = ["dns", "hello", "http", "packet", "feed"];

    private const int Longest = 4096;

    private readonly Random _random = new(seed);
    private readonly byte[][] _corpus = Corpus(target);
    private readonly byte[] _input = new byte[Longest];
    private readonly byte[] _scratch = new byte[ClientHello.MaximumStream];
    private readonly char[] _text = new char[DnsName.MaximumText];

    /// <summary>Inputs by what the parser said: taken, cut, refused.</summary>
    public long[] Verdicts { get; } = new long[3];

    /// <summary>The input of the last <see cref="Next"/>, for whoever reports a find.</summary>
    public ReadOnlySpan<byte> Input => _input.AsSpan(0, Length);

    public int Length { get; private set; }

    /// <summary>Makes an input and parses it. Throws only when a parser does, or when it breaks what it promises.</summary>
    public void Next()
    {
        Length = Damage();
        OperationStatus status = Consume(_input.AsSpan(0, Length));
        Verdicts[status == OperationStatus.Done ? 0 : status == OperationStatus.NeedMoreData ? 1 : 2]++;
    }

    private OperationStatus Consume(Span<byte> input)
    {
        switch (target)
        {
            case "dns":
                return Dns(input);
            case "hello":
                OperationStatus hello = ClientHello.TryParse(input, _scratch, out ClientHello parsed);
                Promise(parsed.Name.Length <= 255, "a server name is at most 255 bytes");
                return hello;
            case "http":
                OperationStatus http = HttpRequestHead.TryParse(input, out HttpRequestHead head);
                Promise(head.Target.Length <= input.Length && head.Host.Length <= input.Length, "views stay inside");
                int left = HttpRequestTrim.Apply(input);
                Promise(left >= 0 && left <= input.Length, "trimming never makes it longer");
                return http;
            case "packet":
                int kept = PacketTrim.Apply(input.Length % 2 == 0 ? IpPacket.EtherTypeIPv4 : IpPacket.EtherTypeIPv6, input);
                Promise(kept >= 0 && kept <= input.Length, "trimming never makes it longer");
                return PacketRecord.TryParse(input, out _);
            default:
                var into = new IndicatorSetBuilder();
                IndicatorReport report = StixReader.IsJson(input) ? StixReader.Read(input, into, DateTimeOffset.UnixEpoch) : PlainListReader.Read(input, into);
                _ = into.Build().FindName("a.evil.example");
                return report.Bad == 0 ? OperationStatus.Done : OperationStatus.InvalidData;
        }
    }

    private OperationStatus Dns(ReadOnlySpan<byte> input)
    {
        OperationStatus status = DnsReader.TryOpen(input, out DnsReader reader);
        if (status != OperationStatus.Done)
        {
            return status;
        }

        status = reader.TryReadQuestion(_text, out int length, out _);
        Promise(length <= DnsName.MaximumText && _text.AsSpan(0, length).IndexOfAnyExceptInRange('!', '~') < 0, "a name's text is printable");
        int answers = 0;
        while (status == OperationStatus.Done && reader.TryReadAnswer(out DnsRecord record))
        {
            Promise(record.DataOffset + record.DataLength <= input.Length, "data is inside the message");
            _ = DnsName.TryRead(input, record.Owner, _text, out _, out _);
            _ = DnsName.TryRead(input, record.DataOffset, _text, out _, out _);
            Promise(++answers <= ushort.MaxValue, "no more answers than the header can count");
        }

        return status;
    }

    private int Damage()
    {
        byte[] from = _corpus[_random.Next(_corpus.Length)];
        int length = Math.Min(from.Length, Longest);
        from.AsSpan(0, length).CopyTo(_input);
        int changes = _random.Next(0, 6);
        for (int i = 0; i < changes && length > 0; i++)
        {
            int at = _random.Next(length);
            switch (_random.Next(7))
            {
                case 0:
                    _input[at] ^= (byte)(1 << _random.Next(8));
                    break;
                case 1:
                    _input[at] = (byte)_random.Next(256);
                    break;
                case 2:
                    _input[at] = _random.Next(2) == 0 ? (byte)0xC0 : (byte)0xFF;
                    break;
                case 3:
                    length = at;
                    break;
                case 4:
                    byte[] other = _corpus[_random.Next(_corpus.Length)];
                    int begin = _random.Next(other.Length);
                    int count = Math.Min(other.Length - begin, Longest - at);
                    other.AsSpan(begin, count).CopyTo(_input.AsSpan(at));
                    length = Math.Max(length, at + count);
                    break;
                case 5:
                    int size = Math.Min(_random.Next(1, 64), length - at);
                    int to = _random.Next(length - size + 1);
                    _input.AsSpan(at, size).CopyTo(_input.AsSpan(to));
                    break;
                default:
                    int more = Math.Min(_random.Next(1, 512), Longest - length);
                    _random.NextBytes(_input.AsSpan(length, more));
                    length += more;
                    break;
            }
        }

        return length;
    }

    private static void Promise(bool kept, string what)
    {
        if (!kept)
        {
            throw new InvalidOperationException($"not so: {what}");
        }
    }

    private static byte[][] Corpus(string target) => target switch
    {
        "dns" => [Answer(0), Answer(1), Answer(8), Question("a.b.c.evil.example"), Question(new string('x', 63) + "." + new string('y', 63) + ".example")],
        "hello" => [PacketSamples.Hello("mirror.corp.example", 0), PacketSamples.Hello("a.example", 40), PacketSamples.Hello(new string('n', 250), 0), PacketSamples.Hello("b.example", 1)],
        "http" => [.. PacketSamples.Requests.Select(Encoding.Latin1.GetBytes)],
        "packet" =>
        [
            PacketSamples.Tcp(IpPacket.EtherTypeIPv4, [203, 0, 113, 66], 80, Encoding.Latin1.GetBytes(PacketSamples.Requests[0])),
            PacketSamples.Tcp(IpPacket.EtherTypeIPv6, [], 443, PacketSamples.Hello("a.example", 0)),
            PacketSamples.Tcp(IpPacket.EtherTypeIPv4, [203, 0, 113, 53], 53, [0, 30, .. Question("evil.example")]),
            [4, 1, 0, 8, 1, 0, 0, 0, .. PacketSamples.Tcp(IpPacket.EtherTypeIPv4, [1, 2, 3, 4], 80, "GET / HTTP/1.1\r\n\r\n"u8)],
        ],
        _ => [.. PacketSamples.Feeds.Select(Encoding.UTF8.GetBytes)],
    };

    private static byte[] Question(string name) => [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, .. Wire(name), 0, 1, 0, 1, 0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0];

    // An alias and then addresses, by pointers, as name servers write them.
    private static byte[] Answer(int addresses)
    {
        byte[] name = Wire("payload.evil.example");
        List<byte> message = [0x12, 0x34, 0x81, 0x80, 0, 1, 0, (byte)(1 + addresses), 0, 0, 0, 0, .. name, 0, 1, 0, 1];
        message.AddRange([0xC0, 12, 0, 5, 0, 1, 0, 0, 0, 30, 0, 2, 0xC0, 20]);
        for (int i = 0; i < addresses; i++)
        {
            bool six = i % 2 == 1;
            message.AddRange([0xC0, 20, 0, six ? (byte)28 : (byte)1, 0, 1, 0, 0, 0, 30, 0, six ? (byte)16 : (byte)4, .. new byte[six ? 16 : 4]]);
        }

        return [.. message];
    }

    private static byte[] Wire(string name) => [.. name.Split('.').SelectMany(static l => (byte[])[(byte)l.Length, .. Encoding.ASCII.GetBytes(l)]), 0];
}
