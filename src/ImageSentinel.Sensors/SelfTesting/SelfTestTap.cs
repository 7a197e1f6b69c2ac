using System.Buffers;
using System.Buffers.Binary;
using ImageSentinel.Kernel.Audit;
using ImageSentinel.Kernel.Netlink;
using ImageSentinel.Kernel.Proc;
using ImageSentinel.Sensors.Audit;
using ImageSentinel.Sensors.Fanotify;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Sensors.SelfTesting;

/// <summary>Stands between the sensors and the queue, passes everything on, and while armed notes what a self-test looks
/// for.</summary>
/// <remarks>
/// The sensors' own path is tested, not a second one beside it: the same socket, thread and batch. Disarmed it costs
/// one read of a field per batch.
/// </remarks>
public sealed class SelfTestTap(ISensorQueue inner) : ISensorQueue
{
    private volatile SelfTestEvidence? _evidence;

    public bool TryWrite(in SensorItem item, int records)
    {
        // Before it is handed on: afterwards the buffer is somebody else's.
        _evidence?.Look(item);
        return inner.TryWrite(item, records);
    }

    internal void Arm(SelfTestEvidence evidence) => _evidence = evidence;

    internal void Disarm() => _evidence = null;
}

/// <summary>What went by while a self-test ran. Bounded: a busy host must not make it large.</summary>
/// <param name="nonce">Part of the name of the files that the child makes.</param>
internal sealed class SelfTestEvidence(byte[] nonce)
{
    private const int MostProcesses = 16 * 1024;

    private readonly Lock _lock = new();
    private readonly HashSet<(SelfTestSign Sign, long Who)> _signs = [];

    /// <summary>Whether it has been seen. The child's pid is known only after its exec, so everybody's are kept.</summary>
    public bool Has(SelfTestSign sign, long who)
    {
        lock (_lock)
        {
            return _signs.Contains((sign, who));
        }
    }

    public void Look(in SensorItem item)
    {
        switch (item.Kind)
        {
            case SensorKind.Audit:
                ForEachDatagram(item.Span, LookAtAudit);
                break;
            case SensorKind.Processes:
                ForEachDatagram(item.Span, LookAtProcesses);
                break;
            case SensorKind.Files:
                LookAtFiles(item.Span);
                break;
            default:
                break;
        }
    }

    private delegate void DatagramReader(ReadOnlySpan<byte> datagram);

    private static void ForEachDatagram(ReadOnlySpan<byte> batch, DatagramReader read)
    {
        while (batch.Length >= sizeof(uint))
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(batch);
            if ((uint)length > (uint)(batch.Length - sizeof(uint)))
            {
                return;
            }

            read(batch.Slice(sizeof(uint), length));
            batch = batch[(sizeof(uint) + length)..];
        }
    }

    private void LookAtAudit(ReadOnlySpan<byte> datagram)
    {
        if (NetlinkFrame.TryReadAudit(datagram, out NetlinkFrame frame) != OperationStatus.Done
            || frame.Type != AuditRecordType.Syscall
            || AuditRecord.TryParse(frame.Type, frame.Payload, out AuditRecord record) != OperationStatus.Done
            || SyscallRecord.TryParse(record.Fields, out SyscallRecord call) != OperationStatus.Done)
        {
            return;
        }

        AuditSyscalls table = AuditSyscalls.OfThisMachine.Native;
        uint number = (uint)call.Number;
        if (call.Architecture != table.Arch)
        {
            return;
        }

        if (table.Exec.Contains(number))
        {
            Add(SelfTestSign.AuditedExec, call.ProcessId);
        }
        else if (table.Connect.Contains(number))
        {
            Add(SelfTestSign.AuditedConnect, call.ProcessId);
        }
        else if (table.Accept.Contains(number))
        {
            Add(SelfTestSign.AuditedAccept, call.ProcessId);
        }
    }

    private void LookAtProcesses(ReadOnlySpan<byte> datagram)
    {
        if (ProcConnectorRecord.TryParse(datagram, out ProcConnectorRecord record) == OperationStatus.Done && record.IsExec)
        {
            Add(SelfTestSign.ConnectorExec, record.ProcessId);
        }
    }

    private void LookAtFiles(ReadOnlySpan<byte> item)
    {
        var reader = new FileEventReader(item);
        while (reader.TryRead(out FileEvent fileEvent))
        {
            if (fileEvent.Path.IndexOf(nonce) >= 0)
            {
                Add(SelfTestSign.File, fileEvent.Engine);
            }
        }
    }

    private void Add(SelfTestSign sign, long who)
    {
        lock (_lock)
        {
            if (_signs.Count < MostProcesses)
            {
                _signs.Add((sign, who));
            }
        }
    }
}

internal enum SelfTestSign
{
    AuditedExec,
    AuditedConnect,
    AuditedAccept,
    ConnectorExec,
    File,
}
