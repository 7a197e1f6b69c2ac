using ImageSentinel.Interop;
using ImageSentinel.Kernel.Audit;

namespace ImageSentinel.Sensors.Audit;

/// <summary>Adds our rules, keeps them there, takes them away. Touches no rule that is not ours to the last byte.</summary>
/// <remarks>One thread at a time; the sensor's lock sees to it.</remarks>
internal sealed class AuditRuleKeeper(AuditControl control)
{
    private readonly List<AuditRule> _present = [];
    private readonly Dictionary<string, string> _refused = [];

    /// <summary>What the kernel refused and why, one line each; empty when all rules stand.</summary>
    public IReadOnlyCollection<string> Refusals => _refused.Values;

    /// <summary>Rules that should be in the kernel now.</summary>
    public IReadOnlyList<AuditRule> Present => _present;

    /// <summary>Removes what a killed predecessor left behind: its wide rules are ours again in a moment, but its rule for
    /// its own pid would blind us to whoever has that number today.</summary>
    /// <returns>How many were removed.</returns>
    public int RemoveStale()
    {
        int removed = 0;
        foreach (AuditRule rule in control.ListRules().Where(AuditRuleSet.IsOurs))
        {
            removed += control.DeleteRule(rule) == 0 ? 1 : 0;
        }

        return removed;
    }

    public void Add(IEnumerable<AuditRule> rules)
    {
        foreach (AuditRule rule in rules)
        {
            int errno = control.AddRule(rule);
            if (errno is 0 or Errno.EEXIST)
            {
                _present.Add(rule);
                _refused.Remove(rule.ToString());
            }
            else
            {
                _refused[rule.ToString()] = $"rule {rule.Key} refused: {Explain(errno)}";
            }
        }
    }

    public void Remove(IEnumerable<AuditRule> rules)
    {
        foreach (AuditRule rule in rules)
        {
            // ENOENT: somebody was faster.
            _ = control.DeleteRule(rule);
            _present.RemoveAll(rule.SameAs);
            _refused.Remove(rule.ToString());
        }
    }

    public void RemoveAll() => Remove([.. _present.AsEnumerable().Reverse()]);

    /// <summary>Puts back what somebody took out.</summary>
    /// <param name="listed">The host's rules as listed just now.</param>
    /// <returns>The keys of the missing rules, each once; empty when all were there.</returns>
    public IReadOnlyList<string> Restore(IReadOnlyList<AuditRule> listed)
    {
        AuditRule[] ours = [.. listed.Where(r => r.Key.StartsWith(AuditRuleSet.KeyPrefix, StringComparison.Ordinal))];
        AuditRule[] missing = [.. _present.Where(r => !ours.Any(r.SameAs))];
        if (missing.Length > 0)
        {
            _present.RemoveAll(missing.Contains);
            Add(missing);
        }

        return [.. missing.Select(r => r.Key).Distinct()];
    }

    private static string Explain(int errno) => errno switch
    {
        Errno.EPERM => "not permitted (CAP_AUDIT_CONTROL missing, or audit is locked until reboot)",
        Errno.EINVAL => "this kernel does not know one of its conditions",
        Errno.ENOENT => "the program's directory is not there",
        Errno.ETIMEDOUT => "the kernel did not answer",
        _ => $"errno {errno}",
    };
}
