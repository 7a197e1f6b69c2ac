using System.Text.RegularExpressions;
using ImageSentinel.V1;

namespace ImageSentinel.Lab.Harness;

internal static class BuildExtensions
{
    /// <summary>The build of this run: it wears its tag, its requester named the tag, or a step names its destination.</summary>
    public static bool IsOf(this Build build, Attack attack)
        => build.Wears(attack.Tag)
            || build.Steps.Any(step => Names(step, attack.Address) || Names(step, attack.Address6)
                // There are few silent addresses, so other runs may have used this one.
                || (attack.Scenario == "silent" && Names(step, attack.SilentAddress)));

    // A whole address: 198.51.100.1 is not in 198.51.100.12.
    private static bool Names(BuildStep step, string address)
        => Regex.IsMatch(step.Instruction, $"(?<![0-9a-f:.]){Regex.Escape(address)}(?![0-9a-f:.])");

    public static bool Wears(this Build build, string tag)
        => build.Image?.Tags.Any(worn => worn.EndsWith(tag, StringComparison.Ordinal)) == true
            || build.Clients.Any(client => client.Process?.Args.Contains(tag) == true);

    public static IEnumerable<Egress> AllEgress(this Build build)
        => build.Steps.SelectMany(step => step.Egress).Concat(build.DaemonFetches.Select(fetch => fetch.Egress).OfType<Egress>());

    public static IEnumerable<Finding> Alerts(this IEnumerable<Finding> findings)
        => findings.Where(finding => finding.Severity >= Severity.Low);

    public static bool Speaks(this Finding finding, string address)
        => finding.Evidence.Any(evidence => evidence.Egress?.Address == address);
}
