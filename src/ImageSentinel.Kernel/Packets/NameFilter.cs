namespace ImageSentinel.Kernel.Packets;

/// <summary>One instruction of a classic socket filter (struct sock_filter of linux/filter.h).</summary>
public readonly record struct FilterInstruction(ushort Code, byte IfTrue, byte IfFalse, uint Value);

/// <summary>The socket filter that lets through what carries names, and nothing else, so that the kernel copies only that.</summary>
/// <remarks>
/// Written for a cooked packet socket (SOCK_DGRAM): offset 0 is the network header, and the link layer's type comes from an
/// ancillary load. A load behind the packet's end refuses the packet, which is right for every load here. Lets through:
/// <list type="bullet">
/// <item>UDP from or to port 53, TCP from or to port 53 with data;</item>
/// <item>TCP data that begins like a TLS handshake record, or with an HTTP method;</item>
/// <item>TCP to port 443 that begins in the middle of a record and was pushed: the rest of a hello in two segments.
/// Application data begins with a record of its own type and stays outside.</item>
/// </list>
/// The last two not towards the host's own addresses and networks, which would be what others ask of this host, except
/// to the ports of <c>ports</c>.
/// </remarks>
public static class NameFilter
{
    /// <summary>Bytes of a packet that are copied.</summary>
    public const int SnapLength = 4096;

    private const ushort LoadWord = 0x20; // BPF_LD | BPF_W | BPF_ABS
    private const ushort LoadHalf = 0x28;
    private const ushort LoadByte = 0x30;
    private const ushort LoadWordAt = 0x40; // BPF_IND: relative to X
    private const ushort LoadHalfAt = 0x48;
    private const ushort LoadByteAt = 0x50;
    private const ushort LoadXHeader = 0xB1; // BPF_LDX | BPF_B | BPF_MSH: 4 * (byte & 15)
    private const ushort LoadXValue = 0x01;
    private const ushort And = 0x54;
    private const ushort ShiftRight = 0x74;
    private const ushort AddX = 0x0C;
    private const ushort ToX = 0x07;
    private const ushort JumpEqual = 0x15;
    private const ushort JumpSet = 0x45;
    private const ushort Jump = 0x05;
    private const ushort Return = 0x06;

    private const uint Protocol = 0xFFFF_F000; // SKF_AD_OFF + SKF_AD_PROTOCOL

    private static readonly string[] s_methods = ["GET ", "POST", "PUT ", "HEAD", "CONN", "PATC", "DELE", "OPTI"];

    /// <param name="ownNetworks">IPv4 networks of this host (its bridges' among them), as address and mask; beyond
    /// 40 the rest is left out, which costs work and loses nothing.</param>
    /// <param name="ports">Ports of this host that requests are wanted of: the engines' plain TCP ports.</param>
    public static FilterInstruction[] Build(IReadOnlyList<(uint Network, uint Mask)> ownNetworks, IReadOnlyList<ushort> ports)
    {
        ArgumentNullException.ThrowIfNull(ownNetworks);
        ArgumentNullException.ThrowIfNull(ports);
        var code = new Assembler();
        code.Emit(LoadWord, Protocol);
        code.If(JumpEqual, IpPacket.EtherTypeIPv6, "six");
        code.IfNot(JumpEqual, IpPacket.EtherTypeIPv4, "drop");

        code.Emit(LoadHalf, 6);
        code.If(JumpSet, 0x1FFF, "drop");
        code.Emit(LoadXHeader, 0);
        code.Emit(LoadByte, 9);
        code.If(JumpEqual, IpPacket.Udp, "udp");
        code.IfNot(JumpEqual, IpPacket.Tcp, "drop");
        code.Emit(LoadHalfAt, 0);
        code.If(JumpEqual, 53, "data");
        code.Emit(LoadHalfAt, 2);
        code.If(JumpEqual, 53, "data");
        foreach (ushort port in ports.Take(8))
        {
            code.If(JumpEqual, port, "data-http");
        }

        foreach ((uint network, uint mask) in ownNetworks.Take(40))
        {
            code.Emit(LoadWord, 16);
            code.Emit(And, mask);
            code.If(JumpEqual, network & mask, "drop");
        }

        code.Goto("tcp");

        code.Label("six");
        code.Emit(LoadXValue, 40);
        code.Emit(LoadByte, 6);
        code.If(JumpEqual, IpPacket.Udp, "udp");
        code.IfNot(JumpEqual, IpPacket.Tcp, "drop");
        code.Emit(LoadHalfAt, 0);
        code.If(JumpEqual, 53, "data");
        code.Emit(LoadHalfAt, 2);
        code.If(JumpEqual, 53, "data");

        code.Label("tcp");
        code.Emit(LoadHalfAt, 2);
        code.If(JumpEqual, 443, "tls-port");
        PayloadToX(code);
        code.Emit(LoadByteAt, 0);
        code.If(JumpEqual, 0x16, "hello");
        code.Goto("http");

        code.Label("tls-port");
        code.Emit(LoadByteAt, 13);
        code.If(JumpSet, 8, "pushed"); // PSH
        PayloadToX(code);
        code.Emit(LoadByteAt, 0);
        code.If(JumpEqual, 0x16, "hello");
        code.Goto("http");
        code.Label("pushed");
        PayloadToX(code);
        code.Emit(LoadByteAt, 0);
        code.If(JumpEqual, 0x14, "drop");
        code.If(JumpEqual, 0x15, "drop");
        code.If(JumpEqual, 0x17, "drop");
        code.Goto("accept");

        code.Label("hello");
        code.Emit(LoadByteAt, 1);
        code.If(JumpEqual, 3, "accept");
        code.Goto("drop");

        code.Label("data-http");
        PayloadToX(code);
        code.Label("http");
        code.Emit(LoadWordAt, 0);
        foreach (string method in s_methods)
        {
            code.If(JumpEqual, ((uint)method[0] << 24) | ((uint)method[1] << 16) | ((uint)method[2] << 8) | method[3], "accept");
        }

        code.Goto("drop");

        code.Label("data");
        PayloadToX(code);
        code.Emit(LoadByteAt, 0);
        code.Goto("accept");

        code.Label("udp");
        code.Emit(LoadHalfAt, 0);
        code.If(JumpEqual, 53, "accept");
        code.Emit(LoadHalfAt, 2);
        code.If(JumpEqual, 53, "accept");
        code.Label("drop");
        code.Emit(Return, 0);
        code.Label("accept");
        code.Emit(Return, SnapLength);
        return code.Assemble();
    }

    // X: network header's length → offset of the TCP payload.
    private static void PayloadToX(Assembler code)
    {
        code.Emit(LoadByteAt, 12);
        code.Emit(ShiftRight, 2);
        code.Emit(And, 0x3C);
        code.Emit(AddX, 0);
        code.Emit(ToX, 0);
    }

    /// <summary>Conditional jumps reach 255 instructions; a longer one goes over an unconditional one of its own.</summary>
    private sealed class Assembler
    {
        private readonly List<(ushort Code, uint Value, string? Target)> _code = [];
        private readonly Dictionary<string, int> _labels = new(StringComparer.Ordinal);

        public void Label(string name) => _labels[name] = _code.Count;

        public void Emit(ushort code, uint value) => _code.Add((code, value, null));

        public void Goto(string target) => _code.Add((Jump, 0, target));

        // Always over an unconditional jump: its 32-bit offset reaches everything, and one instruction more is nothing.
        public void If(ushort code, uint value, string target)
        {
            _code.Add((code, value, "skip-if-not"));
            Goto(target);
        }

        public void IfNot(ushort code, uint value, string target)
        {
            _code.Add((code, value, "skip-if"));
            Goto(target);
        }

        public FilterInstruction[] Assemble()
        {
            var result = new FilterInstruction[_code.Count];
            for (int i = 0; i < result.Length; i++)
            {
                (ushort code, uint value, string? target) = _code[i];
                result[i] = target switch
                {
                    null => new FilterInstruction(code, 0, 0, value),
                    "skip-if-not" => new FilterInstruction(code, 0, 1, value),
                    "skip-if" => new FilterInstruction(code, 1, 0, value),
                    _ => new FilterInstruction(code, 0, 0, (uint)(_labels[target] - i - 1)),
                };
            }

            return result;
        }
    }
}
