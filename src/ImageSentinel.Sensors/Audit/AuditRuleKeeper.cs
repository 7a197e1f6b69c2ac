using ImageSentinel.Interop;
using ImageSentinel.Kernel.Audit;

namespace ImageSentinel.Sensors.Audit;

/// <summary>Adds our rules, keeps them there, takes them away. Touches no rule that is not ours to the last byte.</summary>
/// <remarks>One thread at a time; the sensor's lock sees to it.</remarks>
internal sealed class AuditRuleKeeper(IAuditControl control)
{
    private readonly List<AuditRule> _wanted = [];
    private readonly List<AuditRule> _added = [];
    private readonly Dictionary<string, string> _refused = [];

    /// <summary>What the kernel refused and why, one line each; empty when all rules stand.</summary>
    public IReadOnlyCollection<string> Refusals => _refused.Values;

    /// <summary>Removes what a killed predecessor left behind: its wide rules are ours again in a moment, but its rule for
    /// its own pid would blind us to whoever has that number today.</summary>
    /// <param name="neighbours">Agents that live: their own rules stay, and the wide ones that they share with us.</param>
    /// <returns>How many were removed.</returns>
    public int RemoveStale(IReadOnlyList<int> neighbours)
    {
        int removed = 0;
        foreach (AuditRule rule in control.ListRules().Where(AuditRuleSet.IsOurs))
        {
            bool stale = neighbours.Count == 0
                || (rule.Key == AuditRuleSet.SelfKey && !neighbours.Any(pid => AuditRuleSet.IsSelfRuleOf(rule, pid)));
            removed += stale && control.DeleteRule(rule) == 0 ? 1 : 0;
        }

        return removed;
    }

    public void Add(IEnumerable<AuditRule> rules)
    {
        foreach (AuditRule rule in rules)
        {
            int errno = control.AddRule(rule);
            if (errno == 0)
            {
                _added.Add(rule);
            }

            if (errno is 0 or Errno.EEXIST)
            {
                _wanted.Add(rule);
                _refused.Remove(rule.ToString());
            }
            else
            {
                _refused[rule.ToString()] = $"rule {rule.Key} refused: {Explain(errno)}";
            }
        }
    }

    /// <summary>Takes back rules that we added. One that was there before us stays: it is somebody's.</summary>
    public void Remove(IEnumerable<AuditRule> rules)
    {
        foreach (AuditRule rule in rules)
        {
            if (_added.RemoveAll(rule.SameAs) > 0)
            {
                // ENOENT: somebody was faster.
                _ = control.DeleteRule(rule);
            }

            _wanted.RemoveAll(rule.SameAs);
            _refused.Remove(rule.ToString());
        }
    }

    public void RemoveAll() => Remove([.. _wanted.AsEnumerable().Reverse()]);

    /// <summary>Puts back what somebody took out.</summary>
    /// <param name="listed">The host's rules as listed just now.</param>
    /// <returns>The keys of the missing rules, each once; empty when all were there.</returns>
    public IReadOnlyList<string> Restore(IReadOnlyList<AuditRule> listed)
    {
        AuditRule[] ours = [.. listed.Where(r => r.Key.StartsWith(AuditRuleSet.KeyPrefix, StringComparison.Ordinal))];
        AuditRule[] missing = [.. _wanted.Where(r => !ours.Any(r.SameAs))];
        if (missing.Length > 0)
        {
            _wanted.RemoveAll(missing.Contains);
            _added.RemoveAll(missing.Contains);
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
