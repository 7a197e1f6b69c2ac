using System.Buffers;
using System.Buffers.Binary;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using ImageSentinel.Interop;
using ImageSentinel.Kernel.Packets;
using ImageSentinel.Sensors.Reading;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Sensors.Packets;

/// <summary>Reads the packets that carry names (DNS, the first bytes of TLS and HTTP) on every interface of the host.</summary>
/// <remarks>
/// Owns one packet socket and one thread. The kernel copies only what <see cref="NameFilter"/> lets through; secrets are cut
/// out on this thread, before anything is queued or recorded. Packets of a bridge's ports are left to the bridge itself, so
/// that each is taken once and a container cannot pass its own for the bridge's. Changes nothing: no resolver, no
/// firewall rule, no promiscuous mode.
/// </remarks>
public sealed class NamesSensor(Action<SensorNotice>? onNotice = null) : ISensor
{
    private const int ReceiveBuffer = 8 * 1024 * 1024;

    private static readonly TimeSpan s_refilterEvery = TimeSpan.FromSeconds(5);

    private readonly LossLedger _ledger = new();
    private readonly StatusCell _status = new("names", onNotice);
    private readonly InterfaceRoles _roles = new();
    private readonly Wakeup _stop = Wakeup.Create();
    private readonly Lock _lock = new();
    // The engine's usual plain port, until its listeners are known.
    private readonly HashSet<ushort> _ports = [2375];
    private PacketSocket? _socket;
    private ISensorQueue? _queue;
    private Thread? _thread;
    private Timer? _timer;
    private byte[] _filter = [];

    public string Name => "names";

    public SensorStatus Status => _status.Value;

    public LossTotals Losses => _ledger.Snapshot();

    public void Start(ISensorQueue queue)
    {
        ArgumentNullException.ThrowIfNull(queue);
        try
        {
            _filter = MakeFilter();
            _socket = PacketSocket.Open(_filter);
            _socket.SetReceiveBuffer(ReceiveBuffer);
            _queue = queue;
            _thread = new Thread(Run, maxStackSize: 256 * 1024) { IsBackground = true, Name = "is-names" };
            _thread.Start();
            _timer = new Timer(_ => Refilter(), null, s_refilterEvery, s_refilterEvery);
            _status.Set(SensorHealth.Active, "");
        }
        catch (LinuxException e)
        {
            _status.Set(SensorHealth.Off, e.Errno switch
            {
                Errno.EPERM => "needs CAP_NET_RAW",
                Errno.EAFNOSUPPORT => "this kernel has no packet sockets (CONFIG_PACKET), or the service may not open them (RestrictAddressFamilies)",
                _ => e.Message,
            });
        }
    }

    /// <summary>Requests to this port of the host are wanted too: an engine's plain TCP listener.</summary>
    public void WatchPort(ushort port)
    {
        bool fresh;
        lock (_lock)
        {
            fresh = _ports.Add(port);
        }

        if (fresh)
        {
            Refilter();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_timer is not null)
        {
            await _timer.DisposeAsync().ConfigureAwait(false);
        }

        _stop.Signal();
        _thread?.Join();
        _thread = null;
        _socket?.Dispose();
        _stop.Dispose();
        _status.Set(SensorHealth.Off, "stopped");
    }

    private void Refilter()
    {
        try
        {
            lock (_lock)
            {
                byte[] filter = MakeFilter();
                if (_socket is not null && !filter.AsSpan().SequenceEqual(_filter))
                {
                    _socket.SetFilter(filter);
                    _filter = filter;
                }
            }
        }
        catch (Exception e) when (e is LinuxException or NetworkInformationException or ObjectDisposedException)
        {
            // The filter in place goes on; it lets through more, not less, than a fresher one.
        }
    }

    private byte[] MakeFilter()
    {
        var networks = new List<(uint Network, uint Mask)>();
        foreach (NetworkInterface network in NetworkInterface.GetAllNetworkInterfaces())
        {
            // A bridge's whole network is this host's own; of an uplink only our address is.
            bool bridge = InterfaceRoles.IsBridge(network.Name);
            foreach (UnicastIPAddressInformation own in network.GetIPProperties().UnicastAddresses)
            {
                if (own.Address.AddressFamily == AddressFamily.InterNetwork)
                {
                    uint address = BinaryPrimitives.ReadUInt32BigEndian(own.Address.GetAddressBytes());
                    uint mask = bridge && own.PrefixLength > 0 ? uint.MaxValue << (32 - own.PrefixLength) : uint.MaxValue;
                    networks.Add((address & mask, mask));
                }
            }
        }

        ushort[] ports;
        lock (_lock)
        {
            ports = [.. _ports];
        }

        FilterInstruction[] code = NameFilter.Build([.. networks.Distinct()], ports);
        byte[] bytes = new byte[code.Length * 8];
        for (int i = 0; i < code.Length; i++)
        {
            Span<byte> at = bytes.AsSpan(i * 8);
            BinaryPrimitives.WriteUInt16LittleEndian(at, code[i].Code);
            at[2] = code[i].IfTrue;
            at[3] = code[i].IfFalse;
            BinaryPrimitives.WriteUInt32LittleEndian(at[4..], code[i].Value);
        }

        return bytes;
    }

    private void Run()
    {
        try
        {
            using var reader = new PacketReader(_socket!, NameFilter.SnapLength);
            var gathering = new Gathering(TimeSpan.FromMicroseconds(300), TimeSpan.FromMilliseconds(5));
            Func<PollResult> waitForData = () => _socket!.Wait(_stop, Timeout.InfiniteTimeSpan);
            bool stopping = false;
            while (!stopping)
            {
                int packets = Receive(reader);
                if (packets > 0)
                {
                    Deliver(reader);
                }

                stopping = gathering.Sleep(packets > 0, _stop, waitForData);
            }
        }
        catch (LinuxException e)
        {
            _status.Set(SensorHealth.Off, $"reading stopped: {e.Message}");
        }
    }

    private static int Receive(PacketReader reader)
    {
        try
        {
            return reader.Receive();
        }
        catch (LinuxException e) when (e.Errno == Errno.ENETDOWN)
        {
            // One of all the interfaces went down; the socket goes on with the others.
            return 0;
        }
    }

    private void Deliver(PacketReader reader)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(reader.LongestBatch);
        int length = reader.CopyTo(buffer, Edit, out int packets);
        long lost = _socket!.TakeDrops();
        if (lost > 0)
        {
            _ledger.LostInKernel(lost);
        }

        if (packets == 0 && lost == 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
            return;
        }

        var item = new SensorItem(
            SensorKind.Packets, Clocks.BootNanoseconds, Clocks.WallNanoseconds, buffer, length, Pooled: true, LostBefore: lost);
        _ledger.Moved(packets, _queue!.TryWrite(item, packets));
    }

    private int Edit(ushort etherType, int interfaceIndex, Span<byte> packet, out byte role)
    {
        role = (byte)_roles.Of(interfaceIndex);
        return role == (byte)InterfaceRole.BridgePort ? 0 : PacketTrim.Apply(etherType, packet);
    }
}
