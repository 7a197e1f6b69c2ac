using ImageSentinel.Kernel.Audit;
using static ImageSentinel.Kernel.Numbers.AuditConstants;

namespace ImageSentinel.Sensors.Audit;

/// <summary>Other agents of this host that live, known by the rule that each adds for its own pid.</summary>
/// <remarks>
/// Rules are the host's, so two agents share the wide ones; the living one's must not be swept away as a dead one's.
/// But a number in a rule is only a number: a process that merely got it must not stay exempt from recording. So it has
/// to be root's, named as an agent, and in our own pid and mount namespaces, where no build step and no container is.
/// </remarks>
internal static class AuditNeighbours
{
    private const string ProgramName = "imagesentinel";

    /// <summary>Their pids.</summary>
    /// <param name="rules">The host's rules as listed just now.</param>
    public static IReadOnlyList<int> Find(IEnumerable<AuditRule> rules)
        => [.. rules
            .Where(r => r.Key == AuditRuleSet.SelfKey && AuditRuleSet.IsOurs(r))
            .SelectMany(r => r.Fields.Where(f => f.Field == AUDIT_PID).Select(f => (int)f.Value))
            .Where(pid => pid != Environment.ProcessId && IsAgent(pid))
            .Distinct()];

    private static bool IsAgent(int pid)
    {
        try
        {
            // The magic links of /proc answer only to root, and tell where a process really is.
            string? program = Link(pid, "exe");
            return program is not null
                && Path.GetFileName(program).StartsWith(ProgramName, StringComparison.OrdinalIgnoreCase)
                && Link(pid, "ns/pid") == Link(Environment.ProcessId, "ns/pid")
                && Link(pid, "ns/mnt") == Link(Environment.ProcessId, "ns/mnt")
                && File.ReadLines($"/proc/{pid}/status").Any(line => line.StartsWith("Uid:\t0\t", StringComparison.Ordinal));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static string? Link(int pid, string name) => new FileInfo($"/proc/{pid}/{name}").LinkTarget;
}
