using ImageSentinel.Agent.Options;
using ImageSentinel.Detection.Model;
using ImageSentinel.Docker;
using ImageSentinel.Interop;
using ImageSentinel.Sensors.Audit;
using ImageSentinel.Sensors.Conntrack;
using ImageSentinel.Sensors.Fanotify;
using ImageSentinel.Sensors.History;
using ImageSentinel.Sensors.Lookups;
using ImageSentinel.Sensors.Packets;
using ImageSentinel.Sensors.Processes;
using ImageSentinel.Sensors.Reading;
using ImageSentinel.Sensors.SelfTesting;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>The host's instruments: switched on together, told about engines, and reported into the stream.</summary>
internal sealed class SensorSet : IAsyncDisposable
{
    // Where a listener names no port (dockerd(8)).
    private const ushort PlainApi = 2375;

    private static readonly TimeSpan ReportEvery = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan EngineAnswer = TimeSpan.FromSeconds(2);

    private readonly SensorQueue _queue;
    private readonly List<ISensor> _sensors = [];
    private readonly Dictionary<string, SensorFact> _told = new(StringComparer.Ordinal);
    private readonly Dictionary<int, WatchedEngine> _engines = [];
    private readonly Lock _lock = new();
    private readonly List<(string Name, string Reason)> _off = [];
    private readonly List<(string Name, ISensor Sensor)> _demanded = [];
    private readonly Dictionary<string, string> _unproven = new(StringComparer.Ordinal);
    private volatile bool _stopping;
    private Timer? _timer;

    public SensorSet(SensorOptions options, SensorQueue queue, AuditSensorOptions audit)
    {
        _queue = queue;

        // The process connector first: lineage must be complete before the first audit record is judged by it.
        Processes = Add(options.Processes, "processes", () => new ProcessConnectorSensor(OnNotice));
        Audit = Add(options.Audit, "audit", () => new AuditSensor(audit, OnNotice));
        Layers = Add(options.Fanotify, "fanotify", () => new LayerSensor(new LayerSensorOptions(), OnNotice));
        Names = Add(options.Names, "names", () => new NamesSensor(OnNotice));
        Conntrack = Add(options.Conntrack, "conntrack", () => new ConntrackSensor(OnNotice));
        History = Add(options.History, "history", () => new HistorySensor(OnNotice));
    }

    public ProcessConnectorSensor? Processes { get; }

    public AuditSensor? Audit { get; }

    public LayerSensor? Layers { get; }

    public ConntrackSensor? Conntrack { get; }

    public NamesSensor? Names { get; }

    public HistorySensor? History { get; }

    public IReadOnlyList<ISensor> Sensors => _sensors;

    /// <param name="tap">Where the sensors write: the queue, with the self-test listening.</param>
    public void Start(ISensorQueue tap)
    {
        foreach (ISensor sensor in _sensors)
        {
            sensor.Start(tap);
        }

        Report(force: true);
        _timer = new Timer(_ => Report(force: false), null, ReportEvery, ReportEvery);
    }

    /// <summary>The first sensor that the configuration demands and the host does not give; null when there is none.</summary>
    public (string Name, string Reason)? Refused()
    {
        foreach ((string name, ISensor sensor) in _demanded)
        {
            if (sensor.Status is { Health: SensorHealth.Off } status)
            {
                return (name, status.Reason);
            }
        }

        return null;
    }

    /// <summary>Points the instruments at an engine, or at its new socket and daemon after a restart.</summary>
    public void Watch(EngineFact engine)
    {
        // TLS shows no requests.
        foreach (string listener in engine.Listeners.Where(l => !engine.Tls && l.StartsWith("tcp://", StringComparison.Ordinal)))
        {
            Names?.WatchPort(DaemonConfiguration.PortOf(listener) is > 0 and <= ushort.MaxValue and var port ? (ushort)port : PlainApi);
        }

        FileIdentity? identity = SafeFile.IdentityOf(engine.Socket);
        if (identity is { } socket)
        {
            string? exe = engine.DaemonPid > 0 ? ExeOf(engine.DaemonPid) : null;
            var watched = new WatchedEngine(socket.Inode, socket.DeviceMajor, socket.DeviceMinor, exe);
            lock (_lock)
            {
                if (_engines.TryGetValue(engine.Index, out WatchedEngine? before) && before != watched)
                {
                    Audit?.ForgetEngine(before);
                }

                _engines[engine.Index] = watched;
            }

            Audit?.WatchEngine(watched);
        }

        if (engine.DataRoot.Length > 0)
        {
            _ = Layers?.WatchDataRoot((byte)engine.Index, engine.DataRoot, out _);
        }

        foreach (string listener in engine.Listeners.Where(static l => l.StartsWith("tcp://", StringComparison.Ordinal)))
        {
            int colon = listener.LastIndexOf(':');
            if (ushort.TryParse(listener.AsSpan(colon + 1), System.Globalization.CultureInfo.InvariantCulture, out ushort port))
            {
                Names?.WatchPort(port);
            }
        }

        History?.Watch(engine);

        Report(force: false);
    }

    /// <summary>Waits a moment for what engines say of themselves, so that the first coverage tells it.</summary>
    public Task SettleAsync() => History?.SettleAsync(EngineAnswer) ?? Task.CompletedTask;

    /// <summary>What the self-test found: a sensor that opened and yet does not deliver is degraded, whatever it says.</summary>
    public void Prove(IReadOnlyList<SensorProof> proofs)
    {
        lock (_lock)
        {
            _unproven.Clear();
            foreach (SensorProof proof in proofs.Where(static p => !p.Delivers))
            {
                _unproven[proof.Sensor] = proof.Reason;
            }
        }

        Report(force: false);
    }

    /// <summary>Puts every sensor's state into the stream: when it changed, and its totals now and then.</summary>
    public void Report(bool force)
    {
        lock (_lock)
        {
            if (_stopping)
            {
                // That sensors stop with the agent is no news about them.
                return;
            }

            foreach (ISensor sensor in _sensors)
            {
                SensorStatus status = sensor.Status;
                LossTotals losses = sensor.Losses;
                if (status.Health == SensorHealth.Active && _unproven.TryGetValue(sensor.Name, out string? doubt))
                {
                    status = new SensorStatus(SensorHealth.Degraded, doubt);
                }

                Tell(new SensorFact(
                    sensor.Name,
                    status.Health switch { SensorHealth.Active => "active", SensorHealth.Degraded => "degraded", _ => "off" },
                    status.Reason,
                    losses.Received,
                    losses.LostInKernel,
                    losses.Dropped,
                    losses.Overflows), force);
            }

            foreach ((string name, string reason) in _off)
            {
                Tell(new SensorFact(name, "off", reason, 0, 0, 0, 0), force);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_timer is not null)
        {
            await _timer.DisposeAsync().ConfigureAwait(false);
        }

        _stopping = true;

        // Audit first: its rules cost the host something, the other instruments only us.
        foreach (ISensor sensor in _sensors.OrderByDescending(static s => s is AuditSensor))
        {
            await sensor.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static string? ExeOf(int pid)
    {
        try
        {
            string? exe = new FileInfo($"/proc/{pid}/exe").LinkTarget;
            return exe is { Length: > 0 } && exe[0] == '/' && !exe.EndsWith(" (deleted)", StringComparison.Ordinal) ? exe : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private T? Add<T>(SensorMode mode, string name, Func<T> make)
        where T : class, ISensor
    {
        if (mode == SensorMode.Off)
        {
            _off.Add((name, "switched off in the configuration"));
            return null;
        }

        T sensor = make();
        _sensors.Add(sensor);
        if (mode == SensorMode.On)
        {
            _demanded.Add((name, sensor));
        }

        return sensor;
    }

    private void Tell(SensorFact fact, bool force)
    {
        SensorFact? before = _told.GetValueOrDefault(fact.Sensor);
        bool changed = before is null
            || before.Health != fact.Health
            || before.Reason != fact.Reason
            || before.LostInKernel != fact.LostInKernel
            || before.Dropped != fact.Dropped
            || before.Overflows != fact.Overflows
            || fact.Received - before.Received > Math.Max(5000, before.Received / 4);
        if (changed || force)
        {
            _told[fact.Sensor] = fact;
            LookupService.Tell(_queue, fact);
        }
    }

    private void OnNotice(SensorNotice notice)
    {
        if (notice.Kind == SensorNoticeKind.Tampered)
        {
            LookupService.Tell(_queue, new TamperFact(notice.Sensor, notice.Detail));
        }

        // Sensors raise notices under their own locks; reading their state needs none of ours held there.
        _ = ThreadPool.UnsafeQueueUserWorkItem(static set => set.Report(force: false), this, preferLocal: false);
    }
}
