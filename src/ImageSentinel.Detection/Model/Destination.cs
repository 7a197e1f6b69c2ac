using System.Globalization;

namespace ImageSentinel.Detection.Model;

/// <summary>The transport of an egress attempt, as far as the system call tells it.</summary>
public enum EgressProtocol : byte
{
    Unknown = 0,
    Tcp = 1,
    Udp = 2,
    Icmp = 3,
    Raw = 4,
    Packet = 5,
    Vsock = 6,
    Unix = 7,
}

/// <summary>Remote address, port and transport: what the baseline remembers.</summary>
public readonly record struct Destination(NetAddress Address, ushort Port, EgressProtocol Protocol)
{
    public override string ToString()
    {
        string host = Address.IsIPv4 ? Address.ToString() : $"[{Address}]";
        string protocol = Protocol.ToString().ToLowerInvariant();
        return string.Create(CultureInfo.InvariantCulture, $"{host}:{Port}/{protocol}");
    }
}
