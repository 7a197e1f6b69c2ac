using System.Buffers;
using System.Globalization;
using ImageSentinel.Kernel.Audit;
using Microsoft.Win32.SafeHandles;

namespace ImageSentinel.Bench;

/// <summary>Audit text → records → events → every field read, encoded texts and addresses decoded. One thread.</summary>
/// <remarks>The path is the agent's, with auditd's line in place of the netlink frame. The log's own time is the clock, so
/// events without an end record leave as they would leave a live agent.</remarks>
internal sealed class ParseBench
{
    private const int BufferSize = 1 << 20;
    private const int WarmUpRecords = 100_000;

    private readonly AuditReassembler _reassembler = new();
    private readonly byte[] _arguments = new byte[16 * 1024];
    private readonly byte[] _text = new byte[16 * 1024];
    private readonly byte[] _address = new byte[SocketAddress.MaxLength];
    private long _records;
    private long _events;
    private long _refused;
    private long _decoded;
    private long _addresses;
    private long _allocatedAtWarm;
    private long _recordsAtWarm;

    /// <summary>Reads the file once, from its open to its end, and tells the processor time that took.</summary>
    public static string Run(string log)
    {
        TimeSpan before = Environment.CpuUsage.TotalTime;
        var bench = new ParseBench();
        bench.Read(log);
        double seconds = (Environment.CpuUsage.TotalTime - before).TotalSeconds;
        long warm = bench._records - bench._recordsAtWarm;
        long allocated = GC.GetAllocatedBytesForCurrentThread() - bench._allocatedAtWarm;
        AuditReassemblerCounters counters = bench._reassembler.Counters;
        return string.Create(CultureInfo.InvariantCulture, $$"""
            records={{bench._records}} events={{bench._events}} addresses={{bench._addresses}} decoded_bytes={{bench._decoded}} refused={{bench._refused}} late={{counters.Late}} lost={{counters.Lost}} evicted={{counters.Evicted}} aged={{counters.Aged}} cpu_seconds={{seconds:F6}} allocated_after_warm_up={{allocated}} warm_records={{warm}}
            """);
    }

    private void Read(string log)
    {
        using SafeFileHandle file = File.OpenHandle(log, options: FileOptions.SequentialScan);
        byte[] buffer = new byte[BufferSize];
        long offset = 0;
        int kept = 0;
        int read;
        while ((read = RandomAccess.Read(file, buffer.AsSpan(kept), offset)) > 0)
        {
            offset += read;
            int used = TakeLines(buffer.AsSpan(0, kept + read));
            kept += read - used;
            if (kept == buffer.Length)
            {
                throw new InvalidDataException("a line longer than the buffer");
            }

            buffer.AsSpan(used, kept).CopyTo(buffer);
        }

        _reassembler.Flush();
        Drain();
    }

    private int TakeLines(ReadOnlySpan<byte> text)
    {
        int used = 0;
        while (true)
        {
            ReadOnlySpan<byte> rest = text[used..];
            int end = rest.IndexOf((byte)'\n');
            if (end < 0)
            {
                return used;
            }

            Take(rest[..end]);
            used += end + 1;
        }
    }

    private void Take(ReadOnlySpan<byte> line)
    {
        if (AuditLogLine.TryParse(line, out AuditRecord record) != OperationStatus.Done)
        {
            _refused++;
            return;
        }

        if (++_records == WarmUpRecords)
        {
            _allocatedAtWarm = GC.GetAllocatedBytesForCurrentThread();
            _recordsAtWarm = _records;
        }

        _reassembler.Add(record, record.TimestampMilliseconds * 1_000_000);
        Drain();
    }

    private void Drain()
    {
        while (_reassembler.TryTake(out AuditEvent e))
        {
            _events++;
            Understand(e);
        }
    }

    private void Understand(in AuditEvent e)
    {
        // A long command line comes in several records.
        var arguments = new ExecArguments(_arguments);
        foreach (AuditEventRecord record in e)
        {
            if (record.Type == AuditRecordType.Execve)
            {
                arguments.Append(record.Fields);
            }
            else
            {
                Understand(record);
            }
        }

        _decoded += arguments.Bytes.Length;
        _refused += arguments.IsIncomplete ? 1 : 0;
    }

    private void Understand(in AuditEventRecord record)
    {
        bool valid = true;
        switch (record.Type)
        {
            case AuditRecordType.Syscall:
                valid = SyscallRecord.TryParse(record.Fields, out SyscallRecord call) == OperationStatus.Done;
                Decode(call.Command);
                Decode(call.Executable);
                Decode(call.Key);
                break;

            case AuditRecordType.SocketAddress:
                valid = SocketAddress.TryParseRecord(record.Fields, _address, out SocketAddress address) == OperationStatus.Done;
                _addresses += address.IsInternet ? 1 : 0;
                break;

            case AuditRecordType.Path:
                valid = PathRecord.TryParse(record.Fields, out PathRecord path) == OperationStatus.Done;
                Decode(path.Name);
                break;

            default:
                var reader = new AuditFieldReader(record.Fields);
                while (reader.TryRead())
                {
                    if (record.Type is AuditRecordType.ProcessTitle or AuditRecordType.WorkingDirectory)
                    {
                        Decode(reader.Value);
                    }
                }

                break;
        }

        _refused += valid ? 0 : 1;
    }

    private void Decode(ReadOnlySpan<byte> value)
    {
        _ = AuditValue.Decode(value, _text, out int written);
        _decoded += written;
    }
}
