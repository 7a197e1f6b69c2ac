using System.Buffers;
using System.Buffers.Binary;
using ImageSentinel.Interop;
using ImageSentinel.Kernel.Audit;
using ImageSentinel.Kernel.Netlink;
using static ImageSentinel.Kernel.Numbers.AuditConstants;
using static ImageSentinel.Kernel.Numbers.NetlinkConstants;

namespace ImageSentinel.Sensors.Audit;

/// <summary>The kernel's audit system as the sensor asks it. One implementation is the kernel; tests script another, since
/// a locked or switched-off audit cannot be had on a machine that others use.</summary>
internal interface IAuditControl : IDisposable
{
    /// <exception cref="LinuxException">EPERM without CAP_AUDIT_CONTROL or outside the host's pid namespace;
    /// ECONNREFUSED in another user namespace.</exception>
    AuditStatus GetStatus();

    /// <summary>Changes what <paramref name="mask"/> names and nothing else.</summary>
    /// <returns>0, or the errno of the refusal.</returns>
    int Set(uint mask, AuditStatus values);

    /// <inheritdoc cref="Set"/>
    int AddRule(AuditRule rule);

    /// <inheritdoc cref="Set"/>
    int DeleteRule(AuditRule rule);

    /// <summary>Every rule of the host, whoever added it.</summary>
    IReadOnlyList<AuditRule> ListRules();
}

/// <summary>Asks the kernel's audit system and waits for the answer. One request at a time; callable from any thread.</summary>
/// <remarks>
/// Owns a socket of its own: records never arrive here, so an answer cannot queue behind a flood. The kernel answers
/// AUDIT_GET and AUDIT_LIST_RULES from a thread of its own, before or after the acknowledgement.
/// </remarks>
internal sealed class AuditControl : IAuditControl
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

    public AuditStatus GetStatus()
    {
        AuditStatus status = default;
        OperationStatus parsed = OperationStatus.NeedMoreData;
        int errno = Request(AUDIT_GET, [], AUDIT_GET, payload => parsed = AuditStatus.TryParse(payload, out status));
        return errno == 0 && parsed == OperationStatus.Done
            ? status
            : throw new LinuxException("AUDIT_GET", errno == 0 ? Errno.EINVAL : errno);
    }

    public int Set(uint mask, AuditStatus values)
    {
        Span<byte> payload = stackalloc byte[AuditStatus.Size];
        values.WriteSet(payload, mask);
        return Request(AUDIT_SET, payload, expected: 0, null);
    }

    public int AddRule(AuditRule rule) => Request(AUDIT_ADD_RULE, rule.Encode(adding: true), expected: 0, null);

    public int DeleteRule(AuditRule rule) => Request(AUDIT_DEL_RULE, rule.Encode(adding: false), expected: 0, null);

    public IReadOnlyList<AuditRule> ListRules()
    {
        var rules = new List<AuditRule>();
        int errno = Request(AUDIT_LIST_RULES, [], AUDIT_LIST_RULES, payload =>
        {
            if (AuditRule.TryDecode(payload, out AuditRule? rule) == OperationStatus.Done)
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
                    || NetlinkFrame.TryReadAudit(_buffer.AsSpan(0, length), out NetlinkFrame frame) != OperationStatus.Done
                    || frame.Sequence != sequence)
                {
                    continue;
                }

                if (frame.Type == NLMSG_ERROR)
                {
                    if (NetlinkError.TryParse(frame, out NetlinkError error) == OperationStatus.Done && !error.IsAcknowledgement)
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
