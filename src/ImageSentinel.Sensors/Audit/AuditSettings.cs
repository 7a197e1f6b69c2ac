using ImageSentinel.Kernel.Audit;
using static ImageSentinel.Kernel.Numbers.AuditConstants;

namespace ImageSentinel.Sensors.Audit;

/// <summary>The audit settings of the host that we change, and how they were.</summary>
/// <remarks>Puts a setting back only while it still has the value that we gave it: whoever changed it later meant it.</remarks>
internal sealed class AuditSettings(IAuditControl control, AuditStatus before)
{
    /// <summary>audit_enabled=2: nothing can be changed until reboot.</summary>
    public const uint Locked = 2;

    private bool _enabledByUs;
    private uint? _backlogLimitSet;
    private uint? _waitTimeSet;

    /// <summary>Switches audit on if it is off, makes room in the backlog, and keeps callers from being held when nobody
    /// else depends on the wait.</summary>
    public void Prepare(AuditSensorOptions options, bool hasForeignOwner)
    {
        if (before.Enabled == Locked)
        {
            return;
        }

        if (before.Enabled == 0)
        {
            _enabledByUs = Set(AUDIT_STATUS_ENABLED, new AuditStatus { Enabled = 1 });
        }

        // 0 means no limit at all: leave that.
        if (before.BacklogLimit != 0 && before.BacklogLimit < options.BacklogLimit
            && Set(AUDIT_STATUS_BACKLOG_LIMIT, new AuditStatus { BacklogLimit = options.BacklogLimit }))
        {
            _backlogLimitSet = options.BacklogLimit;
        }

        // A full backlog holds every audited process, by default for a minute. An audit daemon may want that; we would
        // rather lose records, which are counted, than stall the host.
        if (!hasForeignOwner && before.BacklogWaitTime > options.BacklogWaitTime
            && Set(AUDIT_STATUS_BACKLOG_WAIT_TIME, new AuditStatus { BacklogWaitTime = options.BacklogWaitTime }))
        {
            _waitTimeSet = options.BacklogWaitTime;
        }
    }

    /// <summary>Audit was found off: switches it on again if it was we who had.</summary>
    public bool EnableAgain() => _enabledByUs && Set(AUDIT_STATUS_ENABLED, new AuditStatus { Enabled = 1 });

    /// <summary>Restores what we changed.</summary>
    /// <param name="othersAtWork">An audit daemon or foreign rules are there: audit stays on for them.</param>
    public void PutBack(bool othersAtWork)
    {
        AuditStatus now = control.GetStatus();
        if (now.Enabled == Locked)
        {
            return;
        }

        if (_backlogLimitSet is { } limit && now.BacklogLimit == limit)
        {
            Set(AUDIT_STATUS_BACKLOG_LIMIT, new AuditStatus { BacklogLimit = before.BacklogLimit });
        }

        if (_waitTimeSet is { } wait && now.BacklogWaitTime == wait)
        {
            Set(AUDIT_STATUS_BACKLOG_WAIT_TIME, new AuditStatus { BacklogWaitTime = before.BacklogWaitTime });
        }

        if (_enabledByUs && now.Enabled == 1 && !othersAtWork)
        {
            Set(AUDIT_STATUS_ENABLED, new AuditStatus { Enabled = 0 });
        }
    }

    private bool Set(uint mask, AuditStatus values) => control.Set(mask, values) == 0;
}
