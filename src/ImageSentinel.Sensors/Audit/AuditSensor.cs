using ImageSentinel.Interop;
using ImageSentinel.Kernel.Audit;
using ImageSentinel.Sensors.Reading;
using ImageSentinel.Sensors.Stream;
using static ImageSentinel.Kernel.Numbers.AuditConstants;

namespace ImageSentinel.Sensors.Audit;

/// <summary>Reads audit records of the whole host and owns the rules that make the kernel write them.</summary>
/// <remarks>
/// Owns: the reading socket (in its pump), the control socket, our rules, and whatever audit setting it changed, which
/// it puts back on <see cref="DisposeAsync"/> if nobody else changed it since. Lock order: only <c>_lock</c>; the
/// reading thread never takes it. Must not: delete or change a foreign rule, take the daemon role from anybody, unlock.
/// </remarks>
public sealed class AuditSensor : ISensor
{
    /// <summary>A loss that stays unnoticed while a build ends would leave the build's verdict too good: looking at the
    /// status costs one short request, listing the rules some thirty kilobytes.</summary>
    private const int LooksPerPoll = 8;

    private readonly AuditSensorOptions _options;
    private readonly Action<SensorNotice>? _onNotice;
    private readonly Func<IAuditControl> _openControl;
    private readonly LossLedger _ledger = new();
    private readonly StatusCell _status;
    private readonly Lock _lock = new();
    private readonly List<WatchedEngine> _engines = [];
    private readonly AuditFindings _findings = new();
    private IAuditControl? _control;
    private AuditRuleKeeper? _rules;
    private AuditSettings? _settings;
    private AuditReadingPart? _reading;
    private ISensorQueue? _queue;
    private Timer? _timer;
    private AuditStatus _last;
    private int _looks;
    private IReadOnlyList<int> _neighbours = [];

    /// <param name="options">What the sensor may do here.</param>
    /// <param name="onNotice">Told of status changes, tampering and kernel losses; called on the sensor's threads.</param>
    public AuditSensor(AuditSensorOptions options, Action<SensorNotice>? onNotice = null)
        : this(options, onNotice, AuditControl.Open)
    {
    }

    internal AuditSensor(AuditSensorOptions options, Action<SensorNotice>? onNotice, Func<IAuditControl> openControl)
    {
        ArgumentNullException.ThrowIfNull(options);
        _openControl = openControl;
        _options = options;
        _onNotice = onNotice;
        _status = new StatusCell(Name, onNotice);
    }

    public string Name => "audit";

    public SensorStatus Status => _status.Value;

    public LossTotals Losses => _ledger.Snapshot();

    /// <summary>Datagrams refused because a process sent them.</summary>
    public long ForeignDatagrams => _ledger.Foreign;

    /// <summary>How records reach us now; <see cref="AuditReading.Owner"/> only while the kernel agrees.</summary>
    public AuditReading Reading => _reading?.Kind ?? AuditReading.Multicast;

    /// <summary>The audit daemon the kernel has registered, if that process is alive and no agent; for <c>doctor</c>.</summary>
    public int? ForeignOwner { get; private set; }

    /// <summary>Another agent that is at work on this host, as when <c>doctor</c> looks beside a running one.</summary>
    public int? OtherAgent => _neighbours is [int pid, ..] ? pid : null;

    public void Start(ISensorQueue queue)
    {
        ArgumentNullException.ThrowIfNull(queue);
        lock (_lock)
        {
            _queue = queue;
            try
            {
                Open(queue);
                _timer = new Timer(_ => Look(), null, _options.PollInterval / LooksPerPoll, _options.PollInterval / LooksPerPoll);
            }
            catch (LinuxException e)
            {
                Close();
                _status.Set(SensorHealth.Off, Explain(e));
            }
        }
    }

    /// <summary>Records who connects to this engine's socket and whom its daemon accepts, from now on.</summary>
    public void WatchEngine(WatchedEngine engine)
    {
        ArgumentNullException.ThrowIfNull(engine);
        lock (_lock)
        {
            if (_engines.Contains(engine))
            {
                return;
            }

            _engines.Add(engine);
            if (_rules is not null)
            {
                AddEngine(engine);
                Tell();
            }
        }
    }

    /// <summary>The engine is gone or its socket was made anew: takes its rules back.</summary>
    public void ForgetEngine(WatchedEngine engine)
    {
        ArgumentNullException.ThrowIfNull(engine);
        lock (_lock)
        {
            if (_engines.Remove(engine) && _rules is { } rules)
            {
                // Two sockets of one daemon share its accept rule.
                AuditRule[] needed = [.. _engines.SelectMany(AuditRuleSet.ForEngine)];
                rules.Remove(AuditRuleSet.ForEngine(engine).Where(rule => !needed.Any(rule.SameAs)));
                _findings.Clear(EngineFinding(engine));
                Tell();
            }
        }
    }

    public ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            if (_control is not null)
            {
                Close();
                _status.Set(SensorHealth.Off, "stopped");
            }
        }

        return ValueTask.CompletedTask;
    }

    private void Open(ISensorQueue queue)
    {
        _control = _openControl();
        _last = _control.GetStatus();
        _settings = new AuditSettings(_control, _last);

        // The reader first: rules start a stream that somebody must already be draining.
        _reading = new AuditReadingPart(
            _options, queue, _ledger, e => _findings.Set("reader", $"reading stopped: {e.Message}"), YieldSoon);
        _reading.Start(_last);
        _neighbours = AuditNeighbours.Find(_control.ListRules());
        ForeignOwner = NotAnAgent(AuditReadingPart.ForeignOwner(_last));
        _settings.Prepare(_options, hasForeignOwner: ForeignOwner is not null);

        _rules = new AuditRuleKeeper(_control);
        if (_last.Enabled == AuditSettings.Locked)
        {
            _findings.Set("locked", "audit is locked until reboot (enabled=2): rules cannot be added; load them before the lock");
        }
        else
        {
            _rules.RemoveStale(_neighbours);
            _rules.Add(AuditRuleSet.Fixed(Environment.ProcessId));
            _engines.ForEach(AddEngine);
        }

        LookAtForeignRules(_control.ListRules());
        Tell();
    }

    private void Close()
    {
        _timer?.Dispose();
        _timer = null;
        if (_control is not null)
        {
            try
            {
                _rules?.RemoveAll();
                // Whoever started to use audit after us would go blind if we switched it off behind us.
                IReadOnlyList<AuditRule> rules = _control.ListRules();
                bool othersAtWork = AuditReadingPart.ForeignOwner(_control.GetStatus()) is not null
                    || rules.Any(r => !AuditRuleSet.IsOurs(r));
                _reading?.Dispose();
                if (AuditNeighbours.Find(rules).Count == 0)
                {
                    _settings?.PutBack(othersAtWork);
                }
            }
            catch (LinuxException)
            {
                // The control socket is gone with our capability to use it; there is nothing left to put back with.
            }
        }

        _reading?.Dispose();
        _control?.Dispose();
        _reading = null;
        _control = null;
        _rules = null;
        _settings = null;
    }

    private void AddEngine(WatchedEngine engine)
    {
        if (engine.Inode > uint.MaxValue)
        {
            // struct audit_rule_data carries 32 bits and the kernel compares them with all 64.
            _findings.Set(EngineFinding(engine), $"the engine socket's inode {engine.Inode} does not fit an audit rule; its clients are not recorded by audit");
            return;
        }

        _rules!.Add(AuditRuleSet.ForEngine(engine));
    }

    private static string EngineFinding(WatchedEngine engine) => $"engine-{engine.DeviceMajor}:{engine.DeviceMinor}:{engine.Inode}";

    /// <summary>Looks at everything; a test's.</summary>
    internal void Poll() => Look(rules: true);

    private void Look() => Look(rules: Interlocked.Increment(ref _looks) % LooksPerPoll == 0);

    private void Look(bool rules)
    {
        lock (_lock)
        {
            if (_control is null)
            {
                return;
            }

            try
            {
                AuditStatus now = _control.GetStatus();
                NoticeLoss(now);
                NoticeSettings(now);
                if (rules)
                {
                    NoticeRules();
                }

                ForeignOwner = NotAnAgent(_reading!.Follow(now));
                _last = now;
                _findings.Clear("poll");
            }
            catch (LinuxException e)
            {
                _findings.Set("poll", $"the kernel does not answer about audit: {e.Message}");
            }

            Tell();
        }
    }

    // From the reading thread, which the change of hands must wait for: so on another one.
    private void YieldSoon() => ThreadPool.QueueUserWorkItem(static sensor =>
    {
        lock (sensor._lock)
        {
            try
            {
                sensor._reading?.Yield();
            }
            catch (LinuxException e)
            {
                sensor._findings.Set("reader", $"the audit daemon's role could not be given back: {e.Message}");
                sensor.Tell();
            }
        }
    }, this, preferLocal: false);

    private void NoticeLoss(in AuditStatus now)
    {
        // The counter is 32 bits and anybody may reset it; a step back is a reset, not four billion losses.
        int delta = (int)(now.Lost - _last.Lost);
        if (delta <= 0)
        {
            return;
        }

        _ledger.LostInKernel(delta);
        _onNotice?.Invoke(new SensorNotice(Name, SensorNoticeKind.KernelLost, $"the kernel discarded {delta} audit records", delta));
        var hole = new SensorItem(
            SensorKind.Audit, Clocks.BootNanoseconds, Clocks.WallNanoseconds, [], 0, Pooled: false, LostBefore: delta);
        _queue!.TryWrite(hole, 0);
    }

    private void NoticeSettings(in AuditStatus now)
    {
        if (now.Enabled == 0)
        {
            if (_last.Enabled != 0)
            {
                Tamper("audit was switched off (enabled=0); no system call is recorded");
            }

            // Only what we switched on ourselves is ours to switch on again.
            if (_settings!.EnableAgain())
            {
                _findings.Clear("disabled");
            }
            else
            {
                _findings.Set("disabled", "audit is switched off (enabled=0) by somebody else; auditctl -e 1 switches it on");
            }
        }
        else
        {
            _findings.Clear("disabled");
        }

        if (now.BacklogLimit < _last.BacklogLimit)
        {
            Tamper($"audit's backlog limit was lowered from {_last.BacklogLimit} to {now.BacklogLimit}");
        }

        if (now.RateLimit != 0 && now.RateLimit != _last.RateLimit)
        {
            Tamper($"audit's rate limit was set to {now.RateLimit} records per second");
        }
    }

    private void NoticeRules()
    {
        IReadOnlyList<AuditRule> listed = _control!.ListRules();
        IReadOnlyList<int> neighbours = AuditNeighbours.Find(listed);
        bool oneLeft = _neighbours.Except(neighbours).Any();
        _neighbours = neighbours;
        IReadOnlyList<string> missing = _rules!.Restore(listed);

        // A second agent takes the rules along that it had added and we shared.
        if (missing.Count > 0 && !oneLeft)
        {
            Tamper($"audit rules of ours were removed: {string.Join(", ", missing)}; added again");
        }

        LookAtForeignRules(listed);
    }

    private void LookAtForeignRules(IReadOnlyList<AuditRule> listed)
    {
        int silencing = listed.Count(r => r.SilencesNewProcesses);
        _findings.SetOrClear(
            "task",
            silencing > 0,
            $"{silencing} foreign never,task rule(s) keep new processes out of audit for good (auditctl -l shows them)");
        bool excludes = listed.Any(r => r.List == AUDIT_FILTER_EXCLUDE && !AuditRuleSet.IsOurs(r)
            && r.Fields.Any(f => f.Field == AUDIT_MSGTYPE && f.Value is AUDIT_SYSCALL or AUDIT_SOCKADDR or AUDIT_EXECVE or AUDIT_EOE));
        _findings.SetOrClear("exclude", excludes, "a foreign exclude rule drops records that we need (auditctl -l shows it)");
    }

    private int? NotAnAgent(int? owner) => owner is { } pid && _neighbours.Contains(pid) ? null : owner;

    private void Tamper(string detail) => _onNotice?.Invoke(new SensorNotice(Name, SensorNoticeKind.Tampered, detail));

    private void Tell()
    {
        IEnumerable<string> reasons = _findings.All.Concat(_rules?.Refusals ?? []);
        string reason = string.Join("; ", reasons);
        _status.Set(reason.Length == 0 ? SensorHealth.Active : SensorHealth.Degraded, reason);
    }

    private static string Explain(LinuxException e) => e.Errno switch
    {
        Errno.EPERM => $"{e.Call}: needs CAP_AUDIT_CONTROL and CAP_AUDIT_READ in the host's pid namespace",
        Errno.ECONNREFUSED => $"{e.Call}: audit answers only to the host's user namespace",
        Errno.EPROTONOSUPPORT => "this kernel is built without audit",
        _ => e.Message,
    };
}
