using System.Buffers.Binary;
using ImageSentinel.Interop;
using ImageSentinel.Kernel.Netlink;
using static ImageSentinel.Kernel.Numbers.AuditConstants;
using static ImageSentinel.Kernel.Numbers.NetlinkConstants;

namespace ImageSentinel.Sensors.Audit;

/// <summary>Asks the kernel's audit system and waits for the answer. One request at a time; callable from any thread.</summary>
/// <remarks>
/// Owns a socket of its own: records never arrive here, so an answer cannot queue behind a flood. The kernel answers
/// AUDIT_GET and AUDIT_LIST_RULES from a thread of its own, before or after the acknowledgement.
/// </remarks>
internal sealed class AuditControl : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    private readonly NetlinkSocket _socket;
    private readonly Lock _lock = new();
    private readonly byte[] _buffer = new byte[NetlinkReader.SlotSize];
    private uint _sequence;

    private AuditControl(NetlinkSocket socket) => _socket = socket;

    /// <exception cref="LinuxException">EPROTONOSUPPORT when the kernel has no audit.</exception>
    public static AuditControl Open()
    {
        NetlinkSocket socket = NetlinkSocket.Open(NetlinkFamily.Audit);
        socket.SetReceiveBuffer(4 * 1024 * 1024);
        return new AuditControl(socket);
    }

    /// <exception cref="LinuxException">EPERM without CAP_AUDIT_CONTROL or outside the host's pid namespace;
    /// ECONNREFUSED in another user namespace.</exception>
    public AuditKernelStatus GetStatus()
    {
        AuditKernelStatus? status = null;
        int errno = Request(AUDIT_GET, [], AUDIT_GET, payload => status = AuditKernelStatus.Parse(payload));
        return errno == 0 && status is { } known ? known : throw new LinuxException("AUDIT_GET", errno == 0 ? Errno.EINVAL : errno);
    }

    /// <summary>Changes what <paramref name="mask"/> names and nothing else.</summary>
    /// <returns>0, or the errno of the refusal.</returns>
    public int Set(uint mask, in AuditKernelStatus values) => Request(AUDIT_SET, values.Encode(mask), expected: 0, null);

    /// <inheritdoc cref="Set"/>
    public int AddRule(AuditRule rule) => Request(AUDIT_ADD_RULE, rule.Encode(adding: true), expected: 0, null);

    /// <inheritdoc cref="Set"/>
    public int DeleteRule(AuditRule rule) => Request(AUDIT_DEL_RULE, rule.Encode(adding: false), expected: 0, null);

    /// <summary>Every rule of the host, whoever added it.</summary>
    public IReadOnlyList<AuditRule> ListRules()
    {
        var rules = new List<AuditRule>();
        int errno = Request(AUDIT_LIST_RULES, [], AUDIT_LIST_RULES, payload =>
        {
            if (AuditRule.TryDecode(payload, out AuditRule? rule))
            {
                rules.Add(rule!);
            }
        });
        return errno == 0 ? rules : throw new LinuxException("AUDIT_LIST_RULES", errno);
    }

    public void Dispose() => _socket.Dispose();

    private delegate void PayloadReader(ReadOnlySpan<byte> payload);

    // Done when acknowledged and, if an answer is expected, answered: one AUDIT_GET, or rules up to NLMSG_DONE.
    private int Request(ushort type, ReadOnlySpan<byte> payload, ushort expected, PayloadReader? read)
    {
        lock (_lock)
        {
            uint sequence = ++_sequence;
            Span<byte> message = new byte[NetlinkFrame.HeaderSize + payload.Length];
            WriteHeader(message, type, sequence);
            payload.CopyTo(message[NetlinkFrame.HeaderSize..]);
            _socket.Send(message);

            bool acknowledged = false;
            bool answered = expected == 0;
            long deadline = Clocks.MonotonicNanoseconds + (s_patience.Ticks * 100);
            while (!acknowledged || !answered)
            {
                int length = _socket.Receive(_buffer, out uint sender);
                if (length == 0)
                {
                    long left = deadline - Clocks.MonotonicNanoseconds;
                    if (left <= 0)
                    {
                        return Errno.ETIMEDOUT;
                    }

                    _socket.WaitReadable(TimeSpan.FromTicks(Math.Max(1, left / 100)));
                    continue;
                }

                if (sender != 0
                    || NetlinkFrame.TryReadAudit(_buffer.AsSpan(0, length), out NetlinkFrame frame) != System.Buffers.OperationStatus.Done
                    || frame.Sequence != sequence)
                {
                    continue;
                }

                if (frame.Type == NLMSG_ERROR)
                {
                    if (NetlinkError.TryParse(frame, out NetlinkError error) == System.Buffers.OperationStatus.Done && !error.IsAcknowledgement)
                    {
                        return error.Errno;
                    }

                    acknowledged = true;
                }
                else if (frame.Type == NLMSG_DONE)
                {
                    answered = true;
                }
                else if (frame.Type == expected)
                {
                    read?.Invoke(frame.Payload);
                    answered |= expected == AUDIT_GET;
                }
            }

            return 0;
        }
    }

    private static void WriteHeader(Span<byte> message, ushort type, uint sequence)
    {
        BinaryPrimitives.WriteInt32LittleEndian(message, message.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(message[4..], type);
        BinaryPrimitives.WriteUInt16LittleEndian(message[6..], NLM_F_REQUEST | NLM_F_ACK);
        BinaryPrimitives.WriteUInt32LittleEndian(message[8..], sequence);
    }
}

/// <summary><c>struct audit_status</c>: what the kernel's audit system is set to and what it has lost.</summary>
internal readonly record struct AuditKernelStatus
{
    // Up to and including backlog (8 words) exists since audit netlink does; later words are newer.
    private const int MinimumSize = 32;
    private const int FullSize = 44;

    /// <summary>0 off, 1 on, 2 on and locked until reboot.</summary>
    public uint Enabled { get; init; }

    public uint Failure { get; init; }

    /// <summary>The audit daemon's process as last registered, which may be long dead; 0 when none.</summary>
    public uint OwnerPid { get; init; }

    public uint RateLimit { get; init; }

    public uint BacklogLimit { get; init; }

    /// <summary>Records the kernel discarded since boot or since somebody reset the count.</summary>
    public uint Lost { get; init; }

    public uint Backlog { get; init; }

    public uint Features { get; init; }

    /// <summary>Jiffies a process may be held when the backlog is full.</summary>
    public uint BacklogWaitTime { get; init; }

    /// <summary>Jiffies that processes were held so far.</summary>
    public uint BacklogWaitTimeActual { get; init; }

    public static AuditKernelStatus? Parse(ReadOnlySpan<byte> payload)
    {
        if (payload.Length < MinimumSize)
        {
            return null;
        }

        return new AuditKernelStatus
        {
            Enabled = Word(payload, 1),
            Failure = Word(payload, 2),
            OwnerPid = Word(payload, 3),
            RateLimit = Word(payload, 4),
            BacklogLimit = Word(payload, 5),
            Lost = Word(payload, 6),
            Backlog = Word(payload, 7),
            Features = Word(payload, 8),
            BacklogWaitTime = Word(payload, 9),
            BacklogWaitTimeActual = Word(payload, 10),
        };
    }

    public byte[] Encode(uint mask)
    {
        byte[] data = new byte[FullSize];
        uint[] words = [mask, Enabled, Failure, OwnerPid, RateLimit, BacklogLimit, Lost, Backlog, Features, BacklogWaitTime, 0];
        for (int i = 0; i < words.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(data.AsSpan(i * sizeof(uint)), words[i]);
        }

        return data;
    }

    private static uint Word(ReadOnlySpan<byte> payload, int index)
        => payload.Length >= (index + 1) * sizeof(uint) ? BinaryPrimitives.ReadUInt32LittleEndian(payload[(index * sizeof(uint))..]) : 0;
}
