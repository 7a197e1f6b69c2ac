using System.Buffers;
using ImageSentinel.Kernel.Conntrack;
using ImageSentinel.Kernel.Fanotify;
using ImageSentinel.Kernel.Netlink;
using ImageSentinel.Kernel.Proc;
using NUnit.Framework;

namespace ImageSentinel.Tests.Kernel;

/// <summary>All captured binary messages: decoded as recorded, safe to cut anywhere, free of allocation.</summary>
[Parallelizable(ParallelScope.Children)]
public sealed class BinaryCorpusTests
{
    [Test]
    public void Corpus_is_not_empty([Values("fanotify", "proc", "conntrack", "netlink")] string folder)
        => Assert.That(KernelCorpus.Captures(folder, "*.bin"), Is.Not.Empty);

    [TestCaseSource(nameof(Captures), new object[] { "fanotify" })]
    public void Fanotify_events_decode_to_their_golden_file(string capture)
    {
        var items = new List<object>();
        var reader = new FanotifyEventReader(File.ReadAllBytes(capture));
        while (reader.TryRead(out FanotifyEvent fanotifyEvent))
        {
            items.Add(Describe(fanotifyEvent));
        }

        Assert.That(reader.IsMalformed, Is.False);
        KernelCorpus.AssertExpected(capture, items);
    }

    [TestCaseSource(nameof(Captures), new object[] { "proc" })]
    public void Process_events_decode_to_their_golden_file(string capture)
        => KernelCorpus.AssertExpected(capture, KernelCorpus.Chained(File.ReadAllBytes(capture)).Select(DescribeProcess));

    [TestCaseSource(nameof(Captures), new object[] { "conntrack" })]
    public void Flows_decode_to_their_golden_file(string capture)
        => KernelCorpus.AssertExpected(capture, KernelCorpus.Chained(File.ReadAllBytes(capture)).Select(DescribeFlow));

    [TestCaseSource(nameof(AllCaptures))]
    public void Every_prefix_is_decoded_or_refused_but_never_throws(string capture)
    {
        byte[] content = File.ReadAllBytes(capture);
        for (int length = 0; length <= content.Length; length++)
        {
            ConsumeAll(content.AsSpan(0, length));
        }
    }

    [TestCaseSource(nameof(AllCaptures))]
    public void Decoding_does_not_allocate(string capture)
    {
        byte[] content = File.ReadAllBytes(capture);
        ConsumeAll(content);

        long before = GC.GetAllocatedBytesForCurrentThread();
        ConsumeAll(content);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.That(allocated, Is.Zero);
    }

    /// <summary>Every binary parser over the same bytes.</summary>
    internal static void ConsumeAll(ReadOnlySpan<byte> content)
    {
        var events = new FanotifyEventReader(content);
        while (events.TryRead(out FanotifyEvent fanotifyEvent))
        {
            _ = fanotifyEvent.Directory.TryGetCgroupId(out _);
            _ = fanotifyEvent.Name.Length;
        }

        _ = NetlinkFrame.TryReadAudit(content, out _);
        _ = ProcConnectorRecord.TryParse(content, out _);
        var frames = new NetlinkFrameReader(content);
        while (frames.TryRead(out NetlinkFrame frame))
        {
            _ = NetlinkError.TryParse(frame, out _);
            _ = FlowRecord.TryParse(frame, out _);
            if (ProcConnectorRecord.TryParse(frame, out ProcConnectorRecord record) == OperationStatus.Done)
            {
                // Every member reads within the 24 bytes of the union, whatever the event is.
                _ = record.ThreadId + record.ProcessId + record.ChildProcessId + record.ExitStatus + record.ExitParentProcessId;
                _ = record.Command.Length;
            }
        }
    }

    private static object Describe(in FanotifyEvent fanotifyEvent) => new
    {
        Mask = fanotifyEvent.Mask.ToString("x", null),
        fanotifyEvent.IsOverflow,
        fanotifyEvent.IsMalformed,
        fanotifyEvent.Descriptor,
        fanotifyEvent.ProcessId,
        fanotifyEvent.PidDescriptor,
        Object = Describe(fanotifyEvent.Object),
        Directory = Describe(fanotifyEvent.Directory),
        Name = KernelCorpus.Text(fanotifyEvent.Name),
        OldDirectory = Describe(fanotifyEvent.OldDirectory),
        OldName = KernelCorpus.Text(fanotifyEvent.OldName),
        NewDirectory = Describe(fanotifyEvent.NewDirectory),
        NewName = KernelCorpus.Text(fanotifyEvent.NewName),
        MountId = fanotifyEvent.MountId.ToString("x", null),
    };

    private static string Describe(in FanotifyHandle handle) => handle.IsEmpty
        ? ""
        : $"{handle.FileSystemId:x16}/{handle.Type}/{KernelCorpus.Hex(handle.Bytes)}"
            + (handle.TryGetCgroupId(out ulong id) ? $" cgroup {id}" : "");

    private static object DescribeProcess(byte[] message)
    {
        Assert.That(ProcConnectorRecord.TryParse(message, out ProcConnectorRecord record), Is.EqualTo(OperationStatus.Done));
        return new
        {
            What = record.What.ToString("x", null),
            record.Sequence,
            record.Cpu,
            record.TimestampNanoseconds,
            record.ThreadId,
            record.ProcessId,
            Child = record.IsFork ? $"{record.ChildThreadId}/{record.ChildProcessId} process={record.IsNewProcess}" : "",
            Exit = record.IsExit ? $"status={record.ExitStatus} signal={record.ExitSignal} parent={record.ExitParentProcessId}" : "",
        };
    }

    private static object DescribeFlow(byte[] message)
    {
        var frames = new NetlinkFrameReader(message);
        Assert.That(frames.TryRead(out NetlinkFrame frame), Is.True);
        Assert.That(FlowRecord.TryParse(frame, out FlowRecord flow), Is.EqualTo(OperationStatus.Done));
        return new
        {
            Change = flow.Change.ToString(),
            flow.Family,
            Original = Describe(flow.Original),
            Reply = Describe(flow.Reply),
            Status = flow.Status.ToString("x", null),
            flow.Id,
            flow.TimeoutSeconds,
            flow.TcpState,
            flow.HasCounters,
            Sent = $"{flow.OriginalPackets} packets, {flow.OriginalBytes} bytes",
            Received = $"{flow.ReplyPackets} packets, {flow.ReplyBytes} bytes",
            flow.StartNanoseconds,
            flow.StopNanoseconds,
        };
    }

    private static string Describe(in FlowTuple tuple)
        => $"{tuple.Protocol} {new System.Net.IPAddress(tuple.Source)}:{tuple.SourcePort} -> {new System.Net.IPAddress(tuple.Destination)}:{tuple.DestinationPort}";

    private static IEnumerable<TestCaseData> AllCaptures()
        => new[] { "fanotify", "proc", "conntrack", "netlink" }.SelectMany(Captures);

    private static IEnumerable<TestCaseData> Captures(string folder)
        => KernelCorpus.Captures(folder, "*.bin").Select(file => new TestCaseData(file).SetArgDisplayNames(KernelCorpus.Name(file)));
}
