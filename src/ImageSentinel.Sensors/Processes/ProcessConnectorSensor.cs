using System.Buffers.Binary;
using ImageSentinel.Interop;
using ImageSentinel.Kernel.Numbers;
using ImageSentinel.Sensors.Reading;
using ImageSentinel.Sensors.Stream;
using static ImageSentinel.Kernel.Numbers.ConnectorConstants;

namespace ImageSentinel.Sensors.Processes;

/// <summary>Reads forks, execs and exits of the whole host from the process connector.</summary>
/// <remarks>
/// Owns a NETLINK_CONNECTOR socket in group CN_IDX_PROC. Unfiltered on purpose: with an event mask the kernel's per-CPU
/// sequence still counts every event, so a gap would no longer mean a loss. Needs CAP_NET_ADMIN and the host's pid and
/// network namespaces.
/// </remarks>
public sealed class ProcessConnectorSensor(Action<SensorNotice>? onNotice = null) : ISensor
{
    private const int ReceiveBuffer = 16 * 1024 * 1024;

    private readonly LossLedger _ledger = new();
    private readonly StatusCell _status = new("processes", onNotice);
    private NetlinkPump? _pump;

    public string Name => "processes";

    public SensorStatus Status => _status.Value;

    public LossTotals Losses => _ledger.Snapshot();

    /// <summary>Datagrams refused because a process sent them.</summary>
    public long ForeignDatagrams => _ledger.Foreign;

    public void Start(ISensorQueue queue)
    {
        ArgumentNullException.ThrowIfNull(queue);
        try
        {
            NetlinkSocket socket = NetlinkSocket.Open(NetlinkFamily.Connector, groups: 1u << (int)(CN_IDX_PROC - 1));
            socket.SetReceiveBuffer(ReceiveBuffer);
            _pump = new NetlinkPump(
                SensorKind.Processes, socket, queue, _ledger, "is-processes",
                e => _status.Set(SensorHealth.Off, $"reading stopped: {e.Message}"));
            _pump.Start();
            Subscribe(socket, PROC_CN_MCAST_LISTEN);
            _status.Set(SensorHealth.Active, "");
        }
        catch (LinuxException e)
        {
            _pump?.Dispose();
            _pump = null;
            _status.Set(SensorHealth.Off, e.Errno switch
            {
                Errno.EPERM => "needs CAP_NET_ADMIN in the host's namespaces",
                Errno.EPROTONOSUPPORT => "this kernel has no process connector (CONFIG_PROC_EVENTS)",
                _ => e.Message,
            });
        }
    }

    public ValueTask DisposeAsync()
    {
        if (_pump is { } pump)
        {
            _pump = null;
            try
            {
                Subscribe(pump.Socket, PROC_CN_MCAST_IGNORE);
            }
            catch (LinuxException)
            {
                // The kernel counts listeners only to save work; closing the socket ends ours in any case.
            }

            pump.Dispose();
            _status.Set(SensorHealth.Off, "stopped");
        }

        return ValueTask.CompletedTask;
    }

    // nlmsghdr 16, cn_msg 20 (idx, val, seq, ack, len u16, flags u16), operation u32.
    private static void Subscribe(NetlinkSocket socket, uint operation)
    {
        const int size = 40;
        Span<byte> message = stackalloc byte[size];
        message.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(message, size);
        BinaryPrimitives.WriteUInt16LittleEndian(message[4..], NetlinkConstants.NLMSG_DONE);
        BinaryPrimitives.WriteUInt32LittleEndian(message[16..], CN_IDX_PROC);
        BinaryPrimitives.WriteUInt32LittleEndian(message[20..], CN_VAL_PROC);
        BinaryPrimitives.WriteUInt16LittleEndian(message[32..], sizeof(uint));
        BinaryPrimitives.WriteUInt32LittleEndian(message[36..], operation);
        socket.Send(message);
    }
}
