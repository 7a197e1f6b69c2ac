using System.Buffers;
using System.Buffers.Binary;
using ImageSentinel.Kernel.Netlink;
using ImageSentinel.Kernel.Numbers;

namespace ImageSentinel.Kernel.Proc;

/// <summary>One event of the process connector: a fork, exec, exit or change of identity.</summary>
/// <remarks>
/// A message is 76 bytes: nlmsghdr 16, cn_msg 20, proc_event 40 (<c>linux/cn_proc.h</c>). A "pid" there is a thread
/// and a "tgid" a process; here they are called thread and process. All are of the host's pid namespace.
/// </remarks>
public readonly ref struct ProcConnectorRecord
{
    private const int ConnectorHeaderSize = 20;
    private const int EventHeaderSize = 16;

    private readonly ReadOnlySpan<byte> _data;

    private ProcConnectorRecord(ReadOnlySpan<byte> message, ReadOnlySpan<byte> procEvent)
    {
        Sequence = BinaryPrimitives.ReadUInt32LittleEndian(message[8..]);
        What = BinaryPrimitives.ReadUInt32LittleEndian(procEvent);
        Cpu = BinaryPrimitives.ReadUInt32LittleEndian(procEvent[4..]);
        TimestampNanoseconds = BinaryPrimitives.ReadUInt64LittleEndian(procEvent[8..]);
        _data = procEvent[EventHeaderSize..];
    }

    /// <summary><c>PROC_EVENT_*</c>; others come from newer kernels.</summary>
    public uint What { get; }

    /// <summary>Counts the events of <see cref="Cpu"/>, whether or not they reached us; see <see cref="ProcSequence"/>.</summary>
    public uint Sequence { get; }

    public uint Cpu { get; }

    /// <summary>CLOCK_MONOTONIC; unlike a process's start time in /proc it does not count time spent in suspend.</summary>
    public ulong TimestampNanoseconds { get; }

    public bool IsFork => What == ConnectorConstants.PROC_EVENT_FORK;

    public bool IsExec => What == ConnectorConstants.PROC_EVENT_EXEC;

    /// <summary>The end of a thread; of the process when <see cref="IsThreadLeader"/>.</summary>
    public bool IsExit => What == ConnectorConstants.PROC_EVENT_EXIT;

    /// <summary>The acting thread; of a fork the parent as the kernel counts it, <c>real_parent</c>.</summary>
    public int ThreadId => ReadInt32(0);

    /// <summary>The acting process; of a fork the parent.</summary>
    public int ProcessId => ReadInt32(4);

    /// <summary>True when the thread is its process's first, whose id is the process id.</summary>
    public bool IsThreadLeader => ThreadId == ProcessId;

    /// <summary>Of a fork: the new thread.</summary>
    public int ChildThreadId => ReadInt32(8);

    /// <summary>Of a fork: the process of the new thread; the same as the parent's when only a thread was made.</summary>
    public int ChildProcessId => ReadInt32(12);

    /// <summary>Of a fork: true when a process was made, not a thread.</summary>
    public bool IsNewProcess => ChildThreadId == ChildProcessId;

    /// <summary>Of an exit: status as wait(2) gives it, so the exit code is in bits 8 to 15 and the signal in 0 to 6.</summary>
    public int ExitStatus => ReadInt32(8);

    /// <summary>Of an exit: the signal its parent gets, 17 (SIGCHLD) as a rule.</summary>
    public int ExitSignal => ReadInt32(12);

    /// <summary>Of an exit: the parent at that moment. Zero on kernels before 4.18, which do not tell.</summary>
    public int ExitParentProcessId => ReadInt32(20);

    /// <summary>Of a uid or gid change: the real id.</summary>
    public uint RealId => (uint)ReadInt32(8);

    /// <summary>Of a uid or gid change: the effective id.</summary>
    public uint EffectiveId => (uint)ReadInt32(12);

    /// <summary>Of a ptrace event: the tracer's process; zero when it lets go.</summary>
    public int TracerProcessId => ReadInt32(12);

    /// <summary>Of a comm event: the new name, at most 15 bytes; the process chose it.</summary>
    public ReadOnlySpan<byte> Command
    {
        get
        {
            ReadOnlySpan<byte> comm = _data.Slice(8, 16);
            int end = comm.IndexOf((byte)0);
            return end < 0 ? comm : comm[..end];
        }
    }

    /// <summary>Reads one datagram.</summary>
    /// <returns>NeedMoreData when it ends too early; InvalidData when lengths contradict or it is another connector's.</returns>
    public static OperationStatus TryParse(ReadOnlySpan<byte> datagram, out ProcConnectorRecord record)
    {
        record = default;
        if (datagram.Length < NetlinkFrame.HeaderSize)
        {
            return OperationStatus.NeedMoreData;
        }

        var frames = new NetlinkFrameReader(datagram);
        if (!frames.TryRead(out NetlinkFrame frame))
        {
            return OperationStatus.InvalidData;
        }

        return TryParse(frame, out record);
    }

    /// <inheritdoc cref="TryParse(ReadOnlySpan{byte}, out ProcConnectorRecord)"/>
    public static OperationStatus TryParse(scoped in NetlinkFrame frame, out ProcConnectorRecord record)
    {
        record = default;
        ReadOnlySpan<byte> message = frame.Payload;
        if (message.Length < ConnectorHeaderSize)
        {
            return OperationStatus.NeedMoreData;
        }

        if (BinaryPrimitives.ReadUInt32LittleEndian(message) != ConnectorConstants.CN_IDX_PROC
            || BinaryPrimitives.ReadUInt32LittleEndian(message[4..]) != ConnectorConstants.CN_VAL_PROC)
        {
            return OperationStatus.InvalidData;
        }

        // cn_msg: idx, val, seq, ack, then two 16-bit numbers, length and flags.
        ushort length = BinaryPrimitives.ReadUInt16LittleEndian(message[16..]);
        ReadOnlySpan<byte> body = message[ConnectorHeaderSize..];
        if (length > body.Length)
        {
            return OperationStatus.InvalidData;
        }

        // The union's largest member has 24 bytes, and the kernel always sends the whole of it.
        if (length < EventHeaderSize + 24)
        {
            return OperationStatus.NeedMoreData;
        }

        record = new ProcConnectorRecord(message, body[..length]);
        return OperationStatus.Done;
    }

    /// <summary>Bytes of the request that switches the events on or off.</summary>
    public const int RequestSize = NetlinkFrame.HeaderSize + ConnectorHeaderSize + sizeof(uint);

    /// <summary>Writes the request that switches the events on or off for the sending socket.</summary>
    /// <returns>Bytes written, <see cref="RequestSize"/>.</returns>
    public static int WriteRequest(Span<byte> destination, bool listen)
    {
        const ushort typeDone = NetlinkConstants.NLMSG_DONE;
        int length = NetlinkFrame.WriteHeader(destination, typeDone, 0, 0, RequestSize - NetlinkFrame.HeaderSize);
        Span<byte> message = destination[NetlinkFrame.HeaderSize..length];
        message.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(message, ConnectorConstants.CN_IDX_PROC);
        BinaryPrimitives.WriteUInt32LittleEndian(message[4..], ConnectorConstants.CN_VAL_PROC);
        BinaryPrimitives.WriteUInt16LittleEndian(message[16..], sizeof(uint));
        BinaryPrimitives.WriteUInt32LittleEndian(
            message[ConnectorHeaderSize..],
            listen ? ConnectorConstants.PROC_CN_MCAST_LISTEN : ConnectorConstants.PROC_CN_MCAST_IGNORE);
        return length;
    }

    private int ReadInt32(int offset) => BinaryPrimitives.ReadInt32LittleEndian(_data[offset..]);
}
