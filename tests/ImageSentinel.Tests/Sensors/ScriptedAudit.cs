using ImageSentinel.Interop;
using ImageSentinel.Kernel.Audit;
using ImageSentinel.Sensors.Audit;
using static ImageSentinel.Kernel.Numbers.AuditConstants;

namespace ImageSentinel.Tests.Sensors;

/// <summary>An audit system that a test sets up as it likes. Follows the kernel's answers: EEXIST, ENOENT, EPERM when locked.</summary>
internal sealed class ScriptedAudit : IAuditControl
{
    public AuditStatus Status { get; set; } = new() { Enabled = 1, BacklogLimit = 64, BacklogWaitTime = 15000 };

    public List<AuditRule> Rules { get; } = [];

    /// <summary>Keys that this kernel refuses, with its errno.</summary>
    public Dictionary<string, int> Refused { get; } = [];

    public AuditStatus GetStatus() => Status;

    public int Set(uint mask, AuditStatus values)
    {
        if (Status.Enabled == 2)
        {
            return Errno.EPERM;
        }

        Status = Status with
        {
            Enabled = (mask & AUDIT_STATUS_ENABLED) != 0 ? values.Enabled : Status.Enabled,
            BacklogLimit = (mask & AUDIT_STATUS_BACKLOG_LIMIT) != 0 ? values.BacklogLimit : Status.BacklogLimit,
            BacklogWaitTime = (mask & AUDIT_STATUS_BACKLOG_WAIT_TIME) != 0 ? values.BacklogWaitTime : Status.BacklogWaitTime,
        };
        return 0;
    }

    public int AddRule(AuditRule rule)
    {
        if (Status.Enabled == 2)
        {
            return Errno.EPERM;
        }

        if (Refused.TryGetValue(rule.Key, out int errno))
        {
            return errno;
        }

        if (Rules.Any(rule.SameAs))
        {
            return Errno.EEXIST;
        }

        Rules.Add(rule);
        return 0;
    }

    public int DeleteRule(AuditRule rule) => Rules.RemoveAll(rule.SameAs) > 0 ? 0 : Errno.ENOENT;

    public IReadOnlyList<AuditRule> ListRules() => [.. Rules];

    public void Dispose()
    {
    }
}
