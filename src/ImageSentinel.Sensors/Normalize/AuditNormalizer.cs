using System.Buffers;
using System.Buffers.Binary;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Model;
using ImageSentinel.Kernel.Audit;
using ImageSentinel.Kernel.Netlink;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Sensors.Normalize;

/// <summary>Audit datagrams → records → events → domain events. Nothing is allocated per record.</summary>
/// <remarks>An event is judged by its call and address, never by its key: a foreign rule that matches first keeps its own
/// key.</remarks>
public sealed class AuditNormalizer(IDomainEvents core)
{
    private const int MaximumArguments = 16 * 1024;
    private const int MaximumPath = 4096;
    private const int IORING_OP_CONNECT = 16;
    private const ulong MSG_FASTOPEN = 0x2000_0000;

    private readonly AuditReassembler _reassembler = new();
    private readonly SocketTypes _sockets = new();
    private readonly byte[] _arguments = new byte[MaximumArguments];
    private readonly byte[] _exe = new byte[MaximumPath];
    private readonly byte[] _cwd = new byte[MaximumPath];
    private readonly byte[] _comm = new byte[64];
    private readonly byte[] _address = new byte[SocketAddress.MaxLength];
    private Stamp _at;

    /// <summary>Records or events that contradicted themselves and were refused.</summary>
    public long Malformed { get; private set; }

    /// <summary>What the reassembler counted.</summary>
    public AuditReassemblerCounters Counters => _reassembler.Counters;

    public void Normalize(in SensorItem item)
    {
        _at = new Stamp(item.BootNanoseconds, item.WallNanoseconds);
        ReadOnlySpan<byte> rest = item.Span;
        while (rest.Length >= sizeof(uint))
        {
            int length = (int)Math.Min(int.MaxValue, BinaryPrimitives.ReadUInt32LittleEndian(rest));
            rest = rest[sizeof(uint)..];
            if (length > rest.Length)
            {
                Malformed++;
                break;
            }

            Add(rest[..length], item.BootNanoseconds);
            rest = rest[length..];
        }

        Drain(item.BootNanoseconds);
    }

    /// <summary>Time passed: events without an end record are handed out, missing serials become losses.</summary>
    public void Tick(Stamp at)
    {
        _at = at;
        _reassembler.Advance(at.Boot);
        Drain(at.Boot);
    }

    private void Add(ReadOnlySpan<byte> datagram, long now)
    {
        if (NetlinkFrame.TryReadAudit(datagram, out NetlinkFrame frame) != OperationStatus.Done
            || AuditRecord.TryParse(frame.Type, frame.Payload, out AuditRecord record) != OperationStatus.Done)
        {
            Malformed++;
            return;
        }

        _reassembler.Add(record, now);
        while (_reassembler.TryTake(out AuditEvent e))
        {
            Dispatch(e);
        }
    }

    private void Drain(long now)
    {
        _reassembler.Advance(now);
        while (_reassembler.TryTake(out AuditEvent e))
        {
            Dispatch(e);
        }

        if (_reassembler.TryTakeLoss(out AuditLoss loss))
        {
            core.On(new LossNoticed { At = _at, Sensor = "audit", Count = loss.Count, Cause = "serial numbers are missing" });
        }
    }

    private void Dispatch(in AuditEvent e)
    {
        if (e.TryFind(AuditRecordType.Syscall, out ReadOnlySpan<byte> fields))
        {
            if (SyscallRecord.TryParse(fields, out SyscallRecord call) != OperationStatus.Done)
            {
                Malformed++;
                return;
            }

            OnCall(e, call);
        }
        else if (e.TryFind(AuditRecordType.UringOperation, out fields))
        {
            OnUringAlone(e, fields);
        }
    }

    private void OnCall(in AuditEvent e, in SyscallRecord call)
    {
        CallKind kind = SystemCall.Classify(call.Architecture, call.Number);
        int descriptor = unchecked((int)call.A0);
        ulong type = call.A1;
        if (kind == CallKind.SocketCall)
        {
            kind = SystemCall.ClassifySocketCall(call.A0);
            descriptor = -1;
            type = 0;
            if (e.TryFind(AuditRecordType.SocketCall, out ReadOnlySpan<byte> socketFields)
                && SocketCallRecord.TryParse(socketFields, out SocketCallRecord arguments) == OperationStatus.Done)
            {
                descriptor = unchecked((int)arguments.A0);
                type = arguments.A1;
            }
        }

        switch (kind)
        {
            case CallKind.Execute when call.Succeeded:
                OnExecute(e, call);
                break;
            case CallKind.Socket when call.Succeeded:
                _sockets.Set(call.ProcessId, (int)call.Exit, descriptor, (int)(type & 0xF));
                break;
            case CallKind.Accept when call.Succeeded:
                OnAccept(e, call);
                break;
            case CallKind.Connect or CallKind.SendTo or CallKind.SendMessage or CallKind.SendMessages or CallKind.UringEnter:
                OnAddressed(e, call, kind, descriptor);
                break;
        }
    }

    private void OnExecute(in AuditEvent e, in SyscallRecord call)
    {
        var arguments = new ExecArguments(_arguments);
        ReadOnlySpan<byte> cwd = default;
        foreach (AuditEventRecord record in e)
        {
            if (record.Type == AuditRecordType.Execve)
            {
                arguments.Append(record.Fields);
            }
            else if (record.Type == AuditRecordType.WorkingDirectory)
            {
                cwd = CwdOf(record.Fields);
            }
        }

        core.On(new ProcessExecuted
        {
            At = _at,
            CallWall = e.TimestampMilliseconds * Stamp.Millisecond,
            Pid = call.ProcessId,
            ParentPid = call.ParentProcessId,
            Uid = call.UserId,
            Gid = call.GroupId,
            LoginUid = call.LoginUserId,
            Session = call.SessionId,
            Exe = Decode(call.Executable, _exe),
            Arguments = arguments.Bytes,
            Cwd = cwd,
        });
    }

    private void OnAccept(in AuditEvent e, in SyscallRecord call)
    {
        bool remote = e.TryFind(AuditRecordType.SocketAddress, out ReadOnlySpan<byte> fields)
            & (SocketAddress.TryParseRecord(fields, _address, out SocketAddress address) == OperationStatus.Done && address.IsInternet);
        core.On(new EngineAccepted
        {
            At = _at,
            DaemonPid = call.ProcessId,
            Descriptor = (int)call.Exit,
            Remote = remote,
            Address = remote ? NetAddress.FromBytes(address.Address) : default,
            Port = remote ? (ushort)address.Port : (ushort)0,
        });
    }

    private void OnAddressed(in AuditEvent e, in SyscallRecord call, CallKind kind, int descriptor)
    {
        if (!e.TryFind(AuditRecordType.SocketAddress, out ReadOnlySpan<byte> fields)
            || SocketAddress.TryParseRecord(fields, _address, out SocketAddress address) != OperationStatus.Done)
        {
            return;
        }

        var caller = new Caller
        {
            Pid = call.ProcessId,
            ParentPid = call.ParentProcessId,
            Uid = call.UserId,
            Gid = call.GroupId,
            LoginUid = call.LoginUserId,
            Session = call.SessionId,
            Exe = Decode(call.Executable, _exe),
            Comm = Decode(call.Command, _comm),
        };

        if (address.Kind is SocketAddressKind.UnixPath)
        {
            OnUnix(e, caller, call.Succeeded);
            return;
        }

        if (!address.IsInternet || (kind == CallKind.Connect && address.Kind == SocketAddressKind.Unspecified))
        {
            // connect to AF_UNSPEC dissolves an association; nothing leaves.
            return;
        }

        int type = kind == CallKind.UringEnter ? 0 : _sockets.TypeOf(call.ProcessId, call.ParentProcessId, descriptor);
        long exit = call.HasResult ? call.Exit : -(long)Errno.EINTR;
        if (kind == CallKind.UringEnter)
        {
            exit = UringResult(e, exit);
        }

        bool fastOpen = kind == CallKind.SendTo && (call.A3 & MSG_FASTOPEN) != 0;
        bool stream = fastOpen
            || (kind == CallKind.UringEnter ? HasUringConnect(e) : type != 0 ? type == SocketTypes.Stream : kind == CallKind.Connect);
        bool connects = kind is CallKind.Connect || fastOpen;
        core.On(new EgressAttempted
        {
            At = _at,
            CallWall = e.TimestampMilliseconds * Stamp.Millisecond,
            Caller = caller,
            Destination = new Destination(
                NetAddress.FromBytes(address.Address),
                (ushort)address.Port,
                type == SocketTypes.Raw ? EgressProtocol.Raw : stream ? EgressProtocol.Tcp : EgressProtocol.Udp),
            Path = kind == CallKind.UringEnter ? EgressPath.IoUring
                : SystemCall.Is32Bit(call.Architecture) ? EgressPath.Syscall32
                : EgressPath.Syscall,
            Outcome = Outcome.Of(exit, stream && !fastOpen),
            Errno = exit < 0 ? (int)-exit : 0,
            AddressOnly = connects && !stream,
        });
    }

    private void OnUnix(in AuditEvent e, in Caller caller, bool succeeded)
    {
        // The record of the socket file is there only when the path led to one.
        foreach (AuditEventRecord record in e)
        {
            if (succeeded && record.Type == AuditRecordType.Path
                && PathRecord.TryParse(record.Fields, out PathRecord path) == OperationStatus.Done && path.HasInode)
            {
                core.On(new EngineConnected
                {
                    At = _at,
                    CallWall = e.TimestampMilliseconds * Stamp.Millisecond,
                    Caller = caller,
                    SocketInode = path.Inode,
                });
            }
        }
    }

    // A ring served by a kernel thread: no system call, but the address when the operation carried one.
    private void OnUringAlone(in AuditEvent e, ReadOnlySpan<byte> fields)
    {
        if (UringRecord.TryParse(fields, out UringRecord operation) != OperationStatus.Done)
        {
            Malformed++;
            return;
        }

        if (!e.TryFind(AuditRecordType.SocketAddress, out ReadOnlySpan<byte> addressFields)
            || SocketAddress.TryParseRecord(addressFields, _address, out SocketAddress address) != OperationStatus.Done
            || !address.IsInternet)
        {
            return;
        }

        bool stream = operation.Operation == IORING_OP_CONNECT;
        long exit = UringResult(e, operation.Exit);
        core.On(new EgressAttempted
        {
            At = _at,
            CallWall = e.TimestampMilliseconds * Stamp.Millisecond,
            Caller = new Caller
            {
                Pid = operation.ProcessId,
                ParentPid = operation.ParentProcessId,
                Uid = operation.UserId,
                Gid = operation.GroupId,
                LoginUid = uint.MaxValue,
                Session = uint.MaxValue,
            },
            Destination = new Destination(
                NetAddress.FromBytes(address.Address), (ushort)address.Port, stream ? EgressProtocol.Tcp : EgressProtocol.Udp),
            Path = EgressPath.IoUring,
            Outcome = Outcome.Of(exit, stream),
            Errno = exit < 0 ? (int)-exit : 0,
        });
    }

    // An address on io_uring_enter without a connect operation was a datagram's: sends leave no operation record.
    private static bool HasUringConnect(in AuditEvent e)
    {
        foreach (AuditEventRecord record in e)
        {
            if (record.Type == AuditRecordType.UringOperation
                && UringRecord.TryParse(record.Fields, out UringRecord operation) == OperationStatus.Done
                && operation.Operation == IORING_OP_CONNECT)
            {
                return true;
            }
        }

        return false;
    }

    // The operation's own result; -EAGAIN means that the kernel tries again by itself and another record follows.
    private static long UringResult(in AuditEvent e, long otherwise)
    {
        long result = otherwise >= 0 ? -Errno.EINPROGRESS : otherwise;
        foreach (AuditEventRecord record in e)
        {
            if (record.Type == AuditRecordType.UringOperation
                && UringRecord.TryParse(record.Fields, out UringRecord operation) == OperationStatus.Done)
            {
                result = operation.IsRetry ? -Errno.EINPROGRESS : operation.Exit;
            }
        }

        return result;
    }

    private ReadOnlySpan<byte> CwdOf(ReadOnlySpan<byte> fields)
    {
        var reader = new AuditFieldReader(fields);
        while (reader.TryRead())
        {
            if (reader.Key.SequenceEqual("cwd"u8))
            {
                return Decode(reader.Value, _cwd);
            }
        }

        return [];
    }

    private static ReadOnlySpan<byte> Decode(ReadOnlySpan<byte> value, byte[] buffer)
        => AuditValue.Decode(value, buffer, out int written) is OperationStatus.Done or OperationStatus.DestinationTooSmall
            ? buffer.AsSpan(0, written)
            : [];
}
