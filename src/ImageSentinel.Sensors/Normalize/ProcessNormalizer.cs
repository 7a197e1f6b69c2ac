using System.Buffers;
using System.Buffers.Binary;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Model;
using ImageSentinel.Kernel.Proc;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Sensors.Normalize;

/// <summary>Process connector datagrams → births and ends of processes. Execs are taken from audit, which has the arguments.</summary>
public sealed class ProcessNormalizer(IDomainEvents core)
{
    private readonly ProcSequence _sequence = new();

    /// <summary>CLOCK_BOOTTIME minus CLOCK_MONOTONIC: time spent suspended. The connector stamps with the latter.</summary>
    public long MonotonicToBoot { get; set; }

    public long Malformed { get; private set; }

    public void Normalize(in SensorItem item)
    {
        ReadOnlySpan<byte> rest = item.Span;
        long missing = 0;
        while (rest.Length >= sizeof(uint))
        {
            int length = (int)Math.Min(int.MaxValue, BinaryPrimitives.ReadUInt32LittleEndian(rest));
            rest = rest[sizeof(uint)..];
            if (length > rest.Length)
            {
                Malformed++;
                break;
            }

            if (ProcConnectorRecord.TryParse(rest[..length], out ProcConnectorRecord record) == OperationStatus.Done)
            {
                missing += _sequence.Note(record);
                Dispatch(record, item);
            }
            else
            {
                Malformed++;
            }

            rest = rest[length..];
        }

        if (missing > 0)
        {
            core.On(new LossNoticed
            {
                At = new Stamp(item.BootNanoseconds, item.WallNanoseconds),
                Sensor = "processes",
                Count = missing,
                Cause = "sequence numbers are missing",
            });
        }
    }

    private void Dispatch(in ProcConnectorRecord record, in SensorItem item)
    {
        if (record.IsFork && record.IsNewProcess)
        {
            // The parent's thread group, not the thread that called fork.
            core.On(new ProcessForked(StampOf(record, item), record.ProcessId, record.ChildProcessId));
        }
        else if (record.IsExit && record.IsThreadLeader)
        {
            core.On(new ProcessExited(StampOf(record, item), record.ProcessId, record.ExitStatus));
        }
    }

    // The event's own time on both clocks; never later than the moment it was read.
    private Stamp StampOf(in ProcConnectorRecord record, in SensorItem item)
    {
        long boot = Math.Min(item.BootNanoseconds, (long)record.TimestampNanoseconds + MonotonicToBoot);
        return new Stamp(boot, item.WallNanoseconds - (item.BootNanoseconds - boot));
    }
}
