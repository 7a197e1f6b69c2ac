using System.Globalization;
using ImageSentinel.Detection.Processes;
using ImageSentinel.Detection.Text;

namespace ImageSentinel.Detection.Clients;

/// <summary>Where a client's process comes from, as its ancestors tell: a login, a timer, a service, a CI runner.</summary>
/// <remarks>By program name, so a hint for a reader: who may build is decided by uid, executable and container.</remarks>
public static class ClientOrigin
{
    private static readonly Dictionary<string, string> s_known = new(StringComparer.Ordinal)
    {
        ["sshd"] = "SSH session",
        ["sshd-session"] = "SSH session",
        ["sshd-auth"] = "SSH session",
        ["dropbear"] = "SSH session",
        ["cron"] = "cron job",
        ["crond"] = "cron job",
        ["anacron"] = "cron job",
        ["atd"] = "at job",
        ["gitlab-runner"] = "CI runner (GitLab)",
        ["Runner.Listener"] = "CI runner (GitHub Actions)",
        ["Runner.Worker"] = "CI runner (GitHub Actions)",
        ["buildkite-agent"] = "CI runner (Buildkite)",
        ["act_runner"] = "CI runner (Gitea)",
        ["drone-runner-exec"] = "CI runner (Drone)",
        ["login"] = "console login",
        ["gdm-session-worker"] = "desktop session",
        ["systemd"] = "service or user session of systemd",
    };

    /// <summary>Empty when no ancestor is known for anything.</summary>
    public static string Of(ProcessSnapshot process)
    {
        ArgumentNullException.ThrowIfNull(process);
        if (process.ContainerId.Length > 0)
        {
            return $"container {process.ContainerId[..Math.Min(12, process.ContainerId.Length)]}";
        }

        foreach (ProcessSnapshot ancestor in process.Ancestors)
        {
            string name = ancestor.Exe[(ancestor.Exe.LastIndexOf('/') + 1)..];
            if (s_known.TryGetValue(name, out string? what))
            {
                // sshd writes what a session is for into its own command line: "sshd: ann@pts/0".
                string title = what == "SSH session" && ancestor.Arguments is [var first, ..] && first.StartsWith("sshd: ", StringComparison.Ordinal)
                    ? $", {SafeText.Display(first, 60)}"
                    : "";
                return string.Create(CultureInfo.InvariantCulture, $"{what} (pid {ancestor.Pid}{title})");
            }
        }

        return "";
    }
}
