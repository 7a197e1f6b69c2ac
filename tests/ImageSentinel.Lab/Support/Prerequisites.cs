using ImageSentinel.Lab.Harness;

namespace ImageSentinel.Lab;

/// <summary>What the lab needs of the machine, asked once. Everything in this project needs all of it.</summary>
internal static class Prerequisites
{
    /// <summary>Null when the lab can run. A lack that <c>IMAGESENTINEL_REQUIRE</c> names is a failure, not a skip: a
    /// green run must not be an empty one.</summary>
    public static Lack? Missing()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            return new Lack("needs root: sudo ./build.sh test", IsRequired("root"));
        }

        string[] programs = ["dockerd", "docker-registry", "ip", "iptables", "busybox", "jq"];
        string[] absent = [.. programs.Where(program => Tool.Run("/bin/sh", "-c", $"PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v {program}").ExitCode != 0)];
        return absent.Length == 0
            ? null
            : new Lack($"not installed: {string.Join(", ", absent)}; sudo ./build.sh test installs them", IsRequired("docker"));
    }

    private static bool IsRequired(string name)
        => (Environment.GetEnvironmentVariable("IMAGESENTINEL_REQUIRE") ?? "").Split(',').Contains(name);
}

internal sealed record Lack(string Reason, bool IsRequired);
