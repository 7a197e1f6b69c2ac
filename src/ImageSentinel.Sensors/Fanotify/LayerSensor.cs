using System.Buffers;
using ImageSentinel.Interop;
using ImageSentinel.Sensors.Reading;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Sensors.Fanotify;

/// <summary>What the file sensor forwards.</summary>
public sealed class LayerSensorOptions
{
    /// <summary>Also every file inside a layer, not only what says how a build proceeds. Costs events for every file
    /// that any step or container writes.</summary>
    public bool LayerFiles { get; set; } = true;
}

/// <summary>Reads what happens below the engines' data roots from one fanotify group.</summary>
/// <remarks>
/// Owns the group, two threads and the anchors of the data roots. One thread reads and hands buffers over; the other
/// resolves handles and may be slow: then the first one waits and the kernel's queue (16,384 events by default) takes
/// the burst, and its overflow is the only loss. Notification only: nobody on the host ever waits for us.
/// </remarks>
public sealed class LayerSensor : ISensor
{
    private const ulong BaseMask = FileEventMask.Create | FileEventMask.Delete | FileEventMask.MovedFrom
        | FileEventMask.MovedTo | FileEventMask.CloseWrite | FileEventMask.OnDirectory;

    private const int ReadSize = 64 * 1024;
    private const int BuffersInFlight = 16;

    /// <summary>Longer than for records: most events are not ours, and none is waited for by anybody.</summary>
    private static readonly TimeSpan s_shortestPause = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan s_longestPause = TimeSpan.FromMilliseconds(8);

    private readonly LayerSensorOptions _options;
    private readonly LossLedger _ledger = new();
    private readonly StatusCell _status;
    private readonly Lock _lock = new();
    private readonly Handoff<Work> _work = new(BuffersInFlight);
    private readonly Wakeup _stop = Wakeup.Create();
    private readonly Dictionary<byte, string> _troubles = [];
    private DataRoot[] _roots = [];
    private FanotifyGroup? _group;
    private LayerEventResolver? _resolver;
    private Thread? _reader;
    private Thread? _resolving;
    private string? _trouble;

    public LayerSensor(LayerSensorOptions options, Action<SensorNotice>? onNotice = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        _status = new StatusCell(Name, onNotice);
    }

    public string Name => "fanotify";

    public SensorStatus Status => _status.Value;

    /// <summary>Counts events that were forwarded; what concerns no data root is in <see cref="Discarded"/>.</summary>
    public LossTotals Losses => _ledger.Snapshot();

    public long Discarded => _resolver?.Discarded ?? 0;

    /// <summary>Events whose directory was gone before its path could be asked for.</summary>
    public long Unresolved => _resolver?.Unresolved ?? 0;

    /// <summary>What this kernel reports; for <c>doctor</c>.</summary>
    public FanotifyReport Report => _group?.Report ?? FanotifyReport.None;

    public void Start(ISensorQueue queue)
    {
        ArgumentNullException.ThrowIfNull(queue);
        lock (_lock)
        {
            try
            {
                FanotifyGroup group = FanotifyGroup.Open();
                _group = group;
                _resolver = new LayerEventResolver(
                    group, new FileInterest(_options.LayerFiles), new FileBatchWriter(queue, _ledger), _ledger, Troubled);
                _resolving = new Thread(ResolveAll, maxStackSize: 512 * 1024) { IsBackground = true, Name = "is-files" };
                _reader = new Thread(() => ReadAll(group), maxStackSize: 256 * 1024) { IsBackground = true, Name = "is-fanotify" };
                _resolving.Start();
                _reader.Start();
                Tell();
            }
            catch (LinuxException e)
            {
                _status.Set(SensorHealth.Off, e.Message);
            }
        }
    }

    /// <summary>Watches an engine's data root from now on.</summary>
    /// <param name="engine">The number that this engine's events carry.</param>
    /// <param name="path">The data root.</param>
    /// <param name="reason">Why not, when false is returned.</param>
    public bool WatchDataRoot(byte engine, string path, out string reason)
    {
        lock (_lock)
        {
            reason = "";
            if (_group is null)
            {
                reason = _status.Value.Reason;
                return false;
            }

            FileSystemAnchor? anchor = null;
            try
            {
                anchor = FileSystemAnchor.Open(path);
                _group.Mark(FanotifyMark.Add | FanotifyMark.FileSystem, BaseMask, anchor.Path);
            }
            catch (LinuxException e)
            {
                anchor?.Dispose();
                reason = $"data root {path}: {e.Message}";
                _troubles[engine] = reason;
                Tell();
                return false;
            }

            var root = new DataRoot(engine, anchor);
            _troubles.Remove(engine);
            _roots = [.. _roots.Where(r => r.Engine != engine), root];
            _work.Add(new Work(null, 0, _roots, root));
            Tell();
            return true;
        }
    }

    public ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            if (_group is not null)
            {
                _stop.Signal();
                _reader!.Join();
                _work.Complete();
                _resolving!.Join();
                _group.Dispose();
                _group = null;
                foreach (DataRoot root in _roots)
                {
                    root.Anchor.Dispose();
                }

                _roots = [];
                _status.Set(SensorHealth.Off, "stopped");
            }
        }

        _stop.Dispose();
        return ValueTask.CompletedTask;
    }

    private void ReadAll(FanotifyGroup group)
    {
        try
        {
            var gathering = new Gathering(s_shortestPause, s_longestPause);
            Func<PollResult> waitForData = () => group.Wait(_stop, Timeout.InfiniteTimeSpan);
            byte[]? buffer = null;
            int length;
            do
            {
                buffer ??= ArrayPool<byte>.Shared.Rent(ReadSize);
                length = group.Read(buffer.AsSpan(0, ReadSize));
                if (length > 0)
                {
                    _work.Add(new Work(buffer, length, null, null));
                    buffer = null;
                }
            }
            while (!gathering.Sleep(length > 0, _stop, waitForData));
        }
        catch (LinuxException e)
        {
            _status.Set(SensorHealth.Off, $"reading stopped: {e.Message}");
        }
    }

    private void ResolveAll()
    {
        LayerEventResolver resolver = _resolver!;
        while (_work.TryTake(out Work? work))
        {
            resolver.At(work.BootNanoseconds, work.WallNanoseconds);
            if (work.Buffer is not null)
            {
                resolver.Resolve(work.Buffer.AsSpan(0, work.Length));
                ArrayPool<byte>.Shared.Return(work.Buffer);
            }
            else
            {
                resolver.SetRoots(work.Roots!);
                resolver.FindRunningSteps(work.Added!);
            }

            resolver.Flush();
        }
    }

    // From the resolving thread. The first trouble is told; a flood of the same one is not worth a lock each.
    private void Troubled(string message)
    {
        if (_trouble != message)
        {
            _trouble = message;
            Tell();
        }
    }

    private void Tell()
    {
        string[] reasons = [.. _troubles.Values, .. _trouble is null ? [] : new[] { _trouble }];
        if (reasons.Length > 0)
        {
            _status.Set(SensorHealth.Degraded, string.Join("; ", reasons));
        }
        else
        {
            _status.Set(SensorHealth.Active, "");
        }
    }

    private sealed record Work(byte[]? Buffer, int Length, DataRoot[]? Roots, DataRoot? Added)
    {
        public long BootNanoseconds { get; } = Clocks.BootNanoseconds;

        public long WallNanoseconds { get; } = Clocks.WallNanoseconds;
    }
}
