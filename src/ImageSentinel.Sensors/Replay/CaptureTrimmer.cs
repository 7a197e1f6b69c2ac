using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using ImageSentinel.Detection;
using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Posture;
using ImageSentinel.Detection.Processes;
using ImageSentinel.Detection.Text;
using ImageSentinel.Kernel.Audit;
using ImageSentinel.Kernel.Netlink;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Sensors.Replay;

/// <summary>
/// Takes out of a recording what has nothing to do with engines, clients and builds: whoever sends one in with a bug report
/// sends no other process's command line, no user list and no host name along.
/// </summary>
/// <remarks>
/// Reads the items twice: once through a core, to learn which processes matter; once to write. An audit record that goes
/// is replaced by an empty one with the same serial, so that nothing looks lost.
/// </remarks>
public static class CaptureTrimmer
{
    private const ushort AUDIT_CONFIG_CHANGE = 1305;

    /// <param name="open">Opens the recording from its beginning; called twice.</param>
    /// <param name="write">Takes each item that stays.</param>
    public static void Trim(Func<CaptureReader> open, Action<SensorItem> write)
    {
        HashSet<int> kept = FindWhatMatters(open);
        Dictionary<uint, int> callers = FindCallers(open);
        using CaptureReader reader = open();
        while (reader.TryRead(out SensorItem item))
        {
            switch (item.Kind)
            {
                case SensorKind.Audit:
                    write(Blank(item, callers, kept));
                    break;
                case SensorKind.Facts when FactCodec.FromItem(item) is ProcessFact process:
                    if (kept.Contains(process.Pid))
                    {
                        // Nothing is decided by the control group, and its name tells how the host is run.
                        write(FactCodec.ToItem(process with { Cgroup = "" }, item.BootNanoseconds, item.WallNanoseconds));
                    }

                    break;
                case SensorKind.Facts when FactCodec.FromItem(item) is HostFact host:
                    write(FactCodec.ToItem(Anonymous(host), item.BootNanoseconds, item.WallNanoseconds));
                    break;
                case SensorKind.Facts when FactCodec.FromItem(item) is PostureFact posture:
                    write(FactCodec.ToItem(Anonymous(posture), item.BootNanoseconds, item.WallNanoseconds));
                    break;
                default:
                    write(item);
                    break;
            }
        }
    }

    private static HostFact Anonymous(HostFact host) => host with
    {
        Hostname = "host",
        HostId = new string('0', 32),
        Users = [.. host.Users.Where(static u => u.Uid is 0 or 65534)],
    };

    // Who is in which group, and what runs in containers that neither build nor hold the engine's socket, is nobody's business.
    private static PostureFact Anonymous(PostureFact posture) => posture with
    {
        GroupMembers = [.. posture.GroupMembers.Select(static (_, i) => string.Create(CultureInfo.InvariantCulture, $"user{i + 1}"))],
        Containers = [.. posture.Containers.Where(static c => c.SocketSource.Length > 0 || c.Builder.Length > 0)],
    };

    private static HashSet<int> FindWhatMatters(Func<CaptureReader> open)
    {
        var kept = new HashSet<int>();
        var core = new SentinelCore(
            CorePolicy.Default,
            new DestinationBaseline(new BaselineMode(false, DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch)),
            Silence.Instance);
        var processor = new StreamProcessor(core);
        using CaptureReader reader = open();
        while (reader.TryRead(out SensorItem item))
        {
            processor.Process(item);
            if (item.Kind == SensorKind.Tick)
            {
                Collect(core, kept);
            }
        }

        Collect(core, kept);
        return kept;
    }

    private static void Collect(SentinelCore core, HashSet<int> kept)
    {
        foreach (ProcessNode node in core.State.Tree.Current)
        {
            if (node.Scope is not null || node.ScopeForChildren is not null)
            {
                _ = kept.Add(node.Key.Pid);
            }
        }

        foreach (ClientSession session in core.State.Clients.Sessions)
        {
            if (session.Process is { } process)
            {
                _ = kept.Add(process.Key.Pid);
            }
        }
    }

    private static Dictionary<uint, int> FindCallers(Func<CaptureReader> open)
    {
        var callers = new Dictionary<uint, int>();
        using CaptureReader reader = open();
        while (reader.TryRead(out SensorItem item))
        {
            if (item.Kind != SensorKind.Audit)
            {
                continue;
            }

            foreach (Range range in Datagrams(item))
            {
                if (TryParse(item.Span[range], out AuditRecord record)
                    && record.Type is AuditRecordType.Syscall or AuditRecordType.UringOperation
                    && PidOf(record.Fields) is { } pid)
                {
                    callers[record.Serial] = pid;
                }
            }
        }

        return callers;
    }

    private static SensorItem Blank(in SensorItem item, Dictionary<uint, int> callers, HashSet<int> kept)
    {
        var output = new ArrayBufferWriter<byte>(Math.Max(1, item.Length));
        foreach (Range range in Datagrams(item))
        {
            ReadOnlySpan<byte> datagram = item.Span[range];
            if (!TryParse(datagram, out AuditRecord record))
            {
                continue;
            }

            if (callers.TryGetValue(record.Serial, out int pid) && kept.Contains(pid) && record.Type != AuditRecordType.ProcessTitle)
            {
                Write(output, record.Type == AuditRecordType.Execve ? WithoutSecrets(record, datagram) : datagram);
            }
            else if (record.Type is AuditRecordType.Syscall or AuditRecordType.UringOperation || !callers.ContainsKey(record.Serial))
            {
                Write(output, Empty(record));
            }
        }

        byte[] bytes = output.WrittenSpan.ToArray();
        return item with { Bytes = bytes, Length = bytes.Length, Pooled = false };
    }

    // Arguments are shown redacted; whoever gets the capture gets no more than that.
    internal static ReadOnlySpan<byte> WithoutSecrets(in AuditRecord record, ReadOnlySpan<byte> datagram)
    {
        var text = new System.Text.StringBuilder();
        bool changed = false;
        var reader = new AuditFieldReader(record.Fields);
        while (reader.TryRead())
        {
            string value = System.Text.Encoding.ASCII.GetString(reader.Value);
            bool argument = reader.Key.Length > 1 && reader.Key[0] == (byte)'a' && char.IsAsciiDigit((char)reader.Key[1]) && !reader.Key.EndsWith("_len"u8);
            byte[] plain = new byte[argument ? AuditValue.DecodedLength(reader.Value) : 0];
            if (argument && AuditValue.Decode(reader.Value, plain, out int length) == OperationStatus.Done)
            {
                string shown = System.Text.Encoding.UTF8.GetString(plain.AsSpan(0, length));
                string redacted = Redactor.Redact(shown);
                changed |= redacted != shown;
                value = redacted == shown ? value : Convert.ToHexString(System.Text.Encoding.UTF8.GetBytes(redacted));
            }

            _ = text.Append(text.Length > 0 ? " " : "").Append(System.Text.Encoding.ASCII.GetString(reader.Key)).Append('=').Append(value);
        }

        return changed ? Datagram(AuditRecordType.Execve, record, text.ToString()) : datagram;
    }

    private static byte[] Empty(in AuditRecord record) => Datagram(AUDIT_CONFIG_CHANGE, record, "op=trimmed");

    private static byte[] Datagram(ushort type, in AuditRecord record, string fields)
    {
        byte[] text = System.Text.Encoding.ASCII.GetBytes(string.Create(
            CultureInfo.InvariantCulture,
            $"audit({record.TimestampMilliseconds / 1000}.{record.TimestampMilliseconds % 1000:000}:{record.Serial}): {fields}"));
        byte[] datagram = new byte[NetlinkFrame.HeaderSize + text.Length];
        _ = NetlinkFrame.WriteHeader(datagram, type, 0, 0, text.Length);
        text.CopyTo(datagram, NetlinkFrame.HeaderSize);
        return datagram;
    }

    private static void Write(ArrayBufferWriter<byte> output, ReadOnlySpan<byte> datagram)
    {
        BinaryPrimitives.WriteInt32LittleEndian(output.GetSpan(sizeof(int)), datagram.Length);
        output.Advance(sizeof(int));
        output.Write(datagram);
    }

    private static bool TryParse(ReadOnlySpan<byte> datagram, out AuditRecord record)
    {
        record = default;
        return NetlinkFrame.TryReadAudit(datagram, out NetlinkFrame frame) == OperationStatus.Done
            && AuditRecord.TryParse(frame.Type, frame.Payload, out record) == OperationStatus.Done;
    }

    private static int? PidOf(ReadOnlySpan<byte> fields)
    {
        var reader = new AuditFieldReader(fields);
        while (reader.TryRead())
        {
            if (reader.Key.SequenceEqual("pid"u8) && AuditValue.TryParse(reader.Value, out int pid))
            {
                return pid;
            }
        }

        return null;
    }

    private static List<Range> Datagrams(in SensorItem item)
    {
        var ranges = new List<Range>();
        for (int at = 0; at + sizeof(int) <= item.Length;)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(item.Span[at..]);
            at += sizeof(int);
            if (length < 0 || length > item.Length - at)
            {
                break;
            }

            ranges.Add(at..(at + length));
            at += length;
        }

        return ranges;
    }

    private sealed class Silence : ICoreOutput
    {
        public static Silence Instance { get; } = new();

        public void BuildChanged(Build build, Stamp at)
        {
        }

        public void FindingChanged(Finding finding, Stamp at)
        {
        }

        public void Ask(Lookup lookup)
        {
        }
    }
}
