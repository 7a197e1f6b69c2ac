using System.Buffers;
using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Model;
using ImageSentinel.Kernel.Packets;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Sensors.Normalize;

/// <summary>Captured packets → names asked, names resolved, names of servers, requests to an engine.</summary>
/// <remarks>
/// A packet passes several interfaces. What goes out is taken where it is seen first, which is the bridge, with the
/// container's own address; its translated copy on the uplink is known by its data. An answer is believed only where no
/// container can have made it up: on its way from the uplink, or from the host to a bridge.
/// </remarks>
public sealed class PacketNormalizer(IDomainEvents core)
{
    private const ushort DnsPort = 53;
    private const int Remembered = 1024;
    private const long CopyWindow = 2 * Stamp.Second;
    private const int MaximumAliases = 16;
    private const int MaximumAddresses = 64;

    private readonly (ulong Hash, long Boot)[] _copies = new (ulong, long)[Remembered];
    private readonly (ulong Hash, long Boot)[] _forged = new (ulong, long)[Remembered];
    private readonly HelloAssembler _hellos = new();
    private readonly byte[] _scratch = new byte[ClientHello.MaximumStream];
    private readonly char[] _name = new char[DnsName.MaximumText];
    private readonly char[] _owner = new char[DnsName.MaximumText];

    /// <summary>Packets that contradicted themselves: anybody can send one, so it is counted and no more.</summary>
    public long Malformed { get; private set; }

    public void Normalize(in SensorItem item)
    {
        var at = new Stamp(item.BootNanoseconds, item.WallNanoseconds);
        ReadOnlySpan<byte> rest = item.Span;
        while (rest.Length >= sizeof(uint))
        {
            int length = (int)Math.Min(int.MaxValue, BinaryPrimitives.ReadUInt32LittleEndian(rest));
            rest = rest[sizeof(uint)..];
            if (length > rest.Length)
            {
                Malformed++;
                return;
            }

            if (PacketRecord.TryParse(rest[..length], out PacketRecord record) != OperationStatus.Done
                || IpPacket.TryParse(record.EtherType, record.Packet, out IpPacket ip) != OperationStatus.Done
                || TransportSegment.TryParse(ip, out TransportSegment segment) != OperationStatus.Done)
            {
                Malformed++;
            }
            else
            {
                Dispatch(record, ip, segment, at);
            }

            rest = rest[length..];
        }
    }

    private void Dispatch(in PacketRecord record, in IpPacket ip, in TransportSegment segment, Stamp at)
    {
        NetAddress source = NetAddress.FromBytes(ip.Source);
        NetAddress destination = NetAddress.FromBytes(ip.Destination);
        bool tcp = ip.Protocol == IpPacket.Tcp;
        if (segment.SourcePort == DnsPort)
        {
            OnAnswer(record, source, destination, Unframed(segment.Data, tcp), at);
            return;
        }

        // Requests are taken on their way out; what comes in by the uplink is for this host, or on its way to a container.
        bool leaving = record.Role == InterfaceRole.Bridge ? record.Direction != PacketDirection.Outgoing : record.Direction == PacketDirection.Outgoing;
        if (segment.DestinationPort == DnsPort)
        {
            if (leaving)
            {
                OnQuestion(source, destination, Unframed(segment.Data, tcp), at);
            }
        }
        else if (tcp)
        {
            OnData(leaving, source, destination, segment, at);
        }
    }

    // Over TCP each message has its length in front (RFC 1035, 4.2.2); what follows the first is not looked at.
    private static ReadOnlySpan<byte> Unframed(ReadOnlySpan<byte> data, bool tcp)
        => !tcp ? data : data.Length < 2 ? [] : data.Slice(2, Math.Min(BinaryPrimitives.ReadUInt16BigEndian(data), data.Length - 2));

    private void OnQuestion(NetAddress client, NetAddress server, ReadOnlySpan<byte> message, Stamp at)
    {
        if (DnsReader.TryOpen(message, out DnsReader reader) != OperationStatus.Done || reader.IsResponse
            || reader.TryReadQuestion(_name, out int length, out ushort type) != OperationStatus.Done)
        {
            Malformed++;
            return;
        }

        if (IsFirst(_copies, message, at))
        {
            core.On(new NameAsked { At = at, Client = client, Server = server, Name = _name.AsSpan(0, length), Type = type });
        }
    }

    private void OnAnswer(in PacketRecord record, NetAddress server, NetAddress client, ReadOnlySpan<byte> message, Stamp at)
    {
        bool fromContainer = record.Role == InterfaceRole.Bridge && record.Direction != PacketDirection.Outgoing;
        if (fromContainer)
        {
            Remember(_forged, message, at);
            return;
        }

        // An uplink's own outgoing answers are this host's to somebody else; loopback shows each packet in both ways.
        if ((record.Role != InterfaceRole.Bridge && record.Direction == PacketDirection.Outgoing) || IsKnown(_forged, message, at))
        {
            return;
        }

        if (DnsReader.TryOpen(message, out DnsReader reader) != OperationStatus.Done || !reader.IsResponse
            || reader.TryReadQuestion(_name, out int length, out _) != OperationStatus.Done)
        {
            Malformed++;
            return;
        }

        var chain = new List<string>(2) { new(_name, 0, length) };
        int addresses = 0;
        while (reader.TryReadAnswer(out DnsRecord answer))
        {
            if (answer.Class != DnsReader.ClassInternet
                || DnsName.TryRead(message, answer.Owner, _owner, out int ownerLength, out _) != OperationStatus.Done
                || !Contains(chain, _owner.AsSpan(0, ownerLength)))
            {
                continue;
            }

            if (answer.Type == DnsReader.TypeCname && chain.Count < MaximumAliases
                && DnsName.TryRead(message, answer.DataOffset, _owner, out int aliasLength, out _) == OperationStatus.Done)
            {
                chain.Add(new string(_owner, 0, aliasLength));
            }
            else if ((answer is { Type: DnsReader.TypeA, DataLength: 4 } || answer is { Type: DnsReader.TypeAaaa, DataLength: 16 })
                && addresses++ < MaximumAddresses)
            {
                Resolved(chain, message.Slice(answer.DataOffset, answer.DataLength), answer.Ttl, client, server, at);
            }
        }
    }

    private void Resolved(List<string> chain, ReadOnlySpan<byte> address, uint ttl, NetAddress client, NetAddress server, Stamp at)
    {
        foreach (string name in chain)
        {
            core.On(new NameResolved
            {
                At = at,
                Client = client,
                Server = server,
                Name = name,
                Address = NetAddress.FromBytes(address),
                Ttl = ttl,
                FromOutside = true,
            });
        }
    }

    private void OnData(bool leaving, NetAddress client, NetAddress server, in TransportSegment segment, Stamp at)
    {
        if (segment.Data.IsEmpty)
        {
            return;
        }

        HelloPart part = ClientHello.MayBegin(segment.Data) || _hellos.Expects(client, server, segment)
            ? _hellos.Take(client, server, segment, at, _scratch)
            : HelloPart.None;
        if (part.IsHello)
        {
            if (leaving && part.Name.Length > 0 && IsFirst(_copies, segment.Data, at))
            {
                Tell(client, server, segment, part.Name, NameSource.Sni, part.Encrypted, at);
            }

            return;
        }

        if (HttpRequestHead.TryParse(segment.Data, out HttpRequestHead head) == OperationStatus.Done)
        {
            OnRequest(leaving, client, server, segment, head, at);
        }
    }

    private void OnRequest(bool leaving, NetAddress client, NetAddress server, in TransportSegment segment, in HttpRequestHead head, Stamp at)
    {
        if (HttpRequestTrim.IsEngineApi(PathOf(head.Target)) && IsFirst(_copies, segment.Data, at))
        {
            core.On(new ApiRequestSeen
            {
                At = at,
                Client = client,
                ClientPort = segment.SourcePort,
                Server = server,
                ServerPort = segment.DestinationPort,
                Method = Encoding.ASCII.GetString(head.Method),
                Target = Encoding.Latin1.GetString(head.Target),
            });
            return;
        }

        bool proxied = head.Method.SequenceEqual("CONNECT"u8) || head.Target.IndexOf("://"u8) > 0;
        string name = NameText.Of(proxied ? Authority(head.Target) : head.Host, withPort: proxied);
        if (leaving && name.Length > 0 && (proxied || !NetAddress.TryParse(name, out _)) && IsFirst(_copies, segment.Data, at))
        {
            Tell(client, server, segment, name, proxied ? NameSource.Connect : NameSource.Host, false, at);
        }
    }

    private void Tell(NetAddress client, NetAddress server, in TransportSegment segment, string name, NameSource source, bool encrypted, Stamp at)
        => core.On(new ServerNameSeen
        {
            At = at,
            Client = client,
            ClientPort = segment.SourcePort,
            Destination = new Destination(server, segment.DestinationPort, EgressProtocol.Tcp),
            Name = name,
            Source = source,
            Encrypted = encrypted,
        });

    private static ReadOnlySpan<byte> PathOf(ReadOnlySpan<byte> target)
    {
        int question = target.IndexOf((byte)'?');
        return question < 0 ? target : target[..question];
    }

    private static ReadOnlySpan<byte> Authority(ReadOnlySpan<byte> target)
    {
        int scheme = target.IndexOf("://"u8);
        ReadOnlySpan<byte> rest = scheme < 0 ? target : target[(scheme + 3)..];
        int slash = rest.IndexOf((byte)'/');
        rest = slash < 0 ? rest : rest[..slash];
        return rest[(rest.LastIndexOf((byte)'@') + 1)..];
    }

    private static bool Contains(List<string> chain, ReadOnlySpan<char> name)
    {
        foreach (string link in chain)
        {
            if (name.SequenceEqual(link))
            {
                return true;
            }
        }

        return false;
    }

    private static void Remember((ulong Hash, long Boot)[] table, ReadOnlySpan<byte> data, Stamp at)
    {
        ulong hash = XxHash3.HashToUInt64(data);
        table[hash % Remembered] = (hash, at.Boot);
    }

    private static bool IsKnown((ulong Hash, long Boot)[] table, ReadOnlySpan<byte> data, Stamp at)
    {
        ulong hash = XxHash3.HashToUInt64(data);
        (ulong known, long boot) = table[hash % Remembered];
        return known == hash && at.Boot - boot < CopyWindow;
    }

    // The copy that was translated on its way out has other addresses and the same data.
    private static bool IsFirst((ulong Hash, long Boot)[] table, ReadOnlySpan<byte> data, Stamp at)
    {
        bool known = IsKnown(table, data, at);
        Remember(table, data, at);
        return !known;
    }
}
