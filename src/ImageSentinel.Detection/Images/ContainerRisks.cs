using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Images;

/// <summary>What a container may do beyond an ordinary one, from what the engine wrote about it.</summary>
internal static class ContainerRisks
{
    private static readonly string[] s_sensitive = ["/etc", "/root", "/home", "/var", "/proc", "/sys", "/dev", "/boot", "/usr", "/lib", "/run"];

    /// <returns>The risks in words, and whether one of them leads out of the container.</returns>
    public static (IReadOnlyList<string> Risks, bool Breaks) Of(ContainerFact container, EngineFact? engine)
    {
        var risks = new List<string>();
        if (container.Privileged)
        {
            risks.Add("privileged");
        }

        if (container.PidMode == "host")
        {
            risks.Add("sees the host's processes");
        }

        foreach (string capability in container.Capabilities ?? [])
        {
            string name = capability.Replace("CAP_", "", StringComparison.OrdinalIgnoreCase).ToUpperInvariant();
            if (name is "ALL" or "SYS_ADMIN" or "SYS_PTRACE" or "SYS_MODULE" or "DAC_READ_SEARCH" or "BPF")
            {
                risks.Add("has CAP_" + name);
            }
        }

        foreach (string bind in container.Binds)
        {
            string source = bind.Split(':', 2)[0].TrimEnd('/');
            if (source.Length == 0)
            {
                risks.Add("mounts the host's root");
            }
            else if (IsEngineSocket(source, engine))
            {
                risks.Add("holds an engine's socket");
            }
            else if (Array.Exists(s_sensitive, s => source == s))
            {
                risks.Add($"mounts the host's {source}");
            }
        }

        bool breaks = risks.Count > 0;
        if (container.NetworkMode == "host")
        {
            risks.Add("on the host's network");
        }

        if (container.RestartPolicy is "always" or "unless-stopped")
        {
            risks.Add("restarts by itself");
        }

        return ([.. risks.Distinct()], breaks);
    }

    private static bool IsEngineSocket(string source, EngineFact? engine)
        => source.EndsWith("/docker.sock", StringComparison.Ordinal)
        || source.EndsWith("/containerd.sock", StringComparison.Ordinal)
        || source.EndsWith("/buildkitd.sock", StringComparison.Ordinal)
        || (engine is not null && source == engine.Socket);
}
