using ImageSentinel.Interop;
using ImageSentinel.Sensors.Reading;
using ImageSentinel.Sensors.Stream;
using static ImageSentinel.Kernel.Numbers.ConntrackConstants;

namespace ImageSentinel.Sensors.Conntrack;

/// <summary>Reads flows as the host's connection tracking sees them begin, answer and end.</summary>
/// <remarks>
/// Owns a NETLINK_NETFILTER socket in the NEW, UPDATE and DESTROY groups of the network namespace it was opened in. Sees every
/// flow whatever system call made it, but only where connection tracking runs: a namespace tracks nothing until one of
/// its rules needs it, which Docker's address translation does. Switches nothing on: byte counts need
/// nf_conntrack_acct=1, and that is the operator's to set.
/// </remarks>
public sealed class ConntrackSensor(Action<SensorNotice>? onNotice = null) : ISensor
{
    private const int ReceiveBuffer = 16 * 1024 * 1024;

    private const string Settings = "/proc/sys/net/netfilter";

    private readonly LossLedger _ledger = new();
    private readonly StatusCell _status = new("conntrack", onNotice);
    private NetlinkPump? _pump;

    public string Name => "conntrack";

    public SensorStatus Status => _status.Value;

    public LossTotals Losses => _ledger.Snapshot();

    /// <summary>Datagrams refused because a process sent them.</summary>
    public long ForeignDatagrams => _ledger.Foreign;

    /// <summary>True when the kernel counts bytes for new flows (nf_conntrack_acct).</summary>
    public static bool CountsBytes => ReadSetting("nf_conntrack_acct") == "1";

    public void Start(ISensorQueue queue)
    {
        ArgumentNullException.ThrowIfNull(queue);
        try
        {
            NetlinkSocket socket = NetlinkSocket.Open(
                NetlinkFamily.Netfilter,
                Group(NFNLGRP_CONNTRACK_NEW) | Group(NFNLGRP_CONNTRACK_UPDATE) | Group(NFNLGRP_CONNTRACK_DESTROY));
            socket.SetReceiveBuffer(ReceiveBuffer);
            _pump = new NetlinkPump(
                SensorKind.Conntrack, socket, queue, _ledger, "is-conntrack",
                e => _status.Set(SensorHealth.Off, $"reading stopped: {e.Message}"));
            _pump.Start();
            Judge();
        }
        catch (LinuxException e)
        {
            _status.Set(SensorHealth.Off, e.Errno switch
            {
                Errno.EPERM => "needs CAP_NET_ADMIN",
                Errno.EPROTONOSUPPORT => "this kernel has no netfilter netlink (CONFIG_NF_CT_NETLINK)",
                _ => e.Message,
            });
        }
    }

    public ValueTask DisposeAsync()
    {
        if (_pump is { } pump)
        {
            _pump = null;
            pump.Dispose();
            _status.Set(SensorHealth.Off, "stopped");
        }

        return ValueTask.CompletedTask;
    }

    private void Judge()
    {
        switch (ReadSetting("nf_conntrack_events"))
        {
            case null:
                _status.Set(SensorHealth.Degraded, "connection tracking is not loaded here; events come once a firewall rule needs it");
                break;
            case "0":
                _status.Set(SensorHealth.Degraded, "net.netfilter.nf_conntrack_events is 0; set it to 2 to see flows");
                break;
            default:
                _status.Set(SensorHealth.Active, "");
                break;
        }
    }

    private static uint Group(uint number) => 1u << (int)(number - 1);

    private static string? ReadSetting(string name)
    {
        try
        {
            return File.ReadAllText(Path.Combine(Settings, name)).Trim();
        }
        catch (IOException)
        {
            return null;
        }
        catch (UnauthorizedAccessException)
        {
            return null;
        }
    }
}
