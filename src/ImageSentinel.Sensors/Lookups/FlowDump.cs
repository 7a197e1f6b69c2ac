using System.Buffers;
using System.Buffers.Binary;
using ImageSentinel.Detection.Model;
using ImageSentinel.Interop;
using ImageSentinel.Kernel.Conntrack;
using ImageSentinel.Kernel.Netlink;
using ImageSentinel.Sensors.Normalize;
using static ImageSentinel.Kernel.Numbers.ConntrackConstants;
using static ImageSentinel.Kernel.Numbers.NetlinkConstants;

namespace ImageSentinel.Sensors.Lookups;

/// <summary>Reads the counters of some addresses' flows from the connection tracking table.</summary>
/// <remarks>The kernel tells bytes only when it forgets a flow, minutes after its last packet. The table is dumped whole and
/// sifted here; only asked for where the kernel counts (nf_conntrack_acct), at most once for each step.</remarks>
internal static class FlowDump
{
    private const int MaximumDatagrams = 100_000;
    private const int MaximumFlows = 512;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    public static FlowsFact Read(IReadOnlyList<string> addresses)
    {
        var wanted = new HashSet<NetAddress>();
        foreach (string text in addresses)
        {
            if (NetAddress.TryParse(text, out NetAddress address))
            {
                _ = wanted.Add(address);
            }
        }

        using NetlinkSocket socket = NetlinkSocket.Open(NetlinkFamily.Netfilter);
        Span<byte> request = stackalloc byte[20];
        request.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(request, (uint)request.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(request[4..], (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET);
        BinaryPrimitives.WriteUInt16LittleEndian(request[6..], NLM_F_REQUEST | NLM_F_DUMP);
        socket.Send(request);

        var found = new List<FlowCount>();
        byte[] buffer = ArrayPool<byte>.Shared.Rent(64 * 1024);
        try
        {
            for (int i = 0; i < MaximumDatagrams && socket.WaitReadable(s_patience); i++)
            {
                int length = socket.Receive(buffer, out uint sender);
                if (sender == 0 && length > 0 && !Sift(buffer.AsSpan(0, length), wanted, found))
                {
                    break;
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return new FlowsFact(found);
    }

    // False at the end of the dump.
    private static bool Sift(ReadOnlySpan<byte> datagram, HashSet<NetAddress> wanted, List<FlowCount> found)
    {
        var frames = new NetlinkFrameReader(datagram);
        while (frames.TryRead(out NetlinkFrame frame))
        {
            if (frame.Type is NLMSG_DONE or NLMSG_ERROR)
            {
                return false;
            }

            if (FlowRecord.TryParse(frame, out FlowRecord flow) == OperationStatus.Done
                && flow.HasCounters && flow.Original.Source.Length is 4 or 16 && found.Count < MaximumFlows
                && NetAddress.FromBytes(flow.Original.Source) is var source && wanted.Contains(source))
            {
                found.Add(new FlowCount(
                    source.ToString(),
                    flow.Original.SourcePort,
                    NetAddress.FromBytes(flow.Original.Destination).ToString(),
                    flow.Original.DestinationPort,
                    (int)ConntrackNormalizer.ProtocolOf(flow.Original.Protocol),
                    flow.OriginalBytes,
                    flow.ReplyBytes));
            }
        }

        return true;
    }
}
