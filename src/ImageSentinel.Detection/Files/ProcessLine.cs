using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Files;

/// <summary>How two processes of one step are related, and what they are.</summary>
internal static class ProcessLine
{
    private static readonly HashSet<string> s_packageManagers = new(StringComparer.Ordinal)
    {
        "dpkg", "dpkg-deb", "apt", "apt-get", "aptitude", "rpm", "dnf", "yum", "microdnf", "zypper", "apk", "pacman",
    };

    /// <summary>1 for the same process, less for relatives, 0.6 for others of the same step.</summary>
    public static double Closeness(ProcessSnapshot writer, ProcessSnapshot other)
    {
        if (Same(writer, other))
        {
            return 0.95;
        }

        if (writer.Ancestors.Any(a => Same(a, other)) || other.Ancestors.Any(a => Same(a, writer)))
        {
            return 0.9;
        }

        // curl … | tar x: both are the shell's children.
        return writer.Ancestors.Count > 0 && other.Ancestors.Count > 0 && Same(writer.Ancestors[0], other.Ancestors[0]) ? 0.85 : 0.6;
    }

    /// <summary>True when a package manager is in the line: what it installs is a package's business.</summary>
    /// <remarks>A step may call its own program so; that makes a finding milder, never absent where it counts.</remarks>
    public static bool Installs(ProcessSnapshot process)
        => IsPackageManager(process) || process.Ancestors.Any(IsPackageManager);

    private static bool Same(ProcessSnapshot a, ProcessSnapshot b) => a.Pid == b.Pid && a.Started == b.Started;

    private static bool IsPackageManager(ProcessSnapshot process)
        => s_packageManagers.Contains(process.Exe[(process.Exe.LastIndexOf('/') + 1)..]);
}
