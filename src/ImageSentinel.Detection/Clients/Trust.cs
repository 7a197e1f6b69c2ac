using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Clients;

/// <summary>Whether the operator's list names a build's requester.</summary>
internal static class Trust
{
    /// <summary>True only when every candidate that remained possible is trusted: doubt is not trust.</summary>
    public static bool IsTrusted(Build build, CoreState state)
        => build.Clients.Count > 0 && build.Clients.All(c => IsTrusted(c, state));

    public static bool IsTrusted(BuildClient client, CoreState state)
        => state.Policy.TrustedClients.Any(t => Matches(t, client, state));

    /// <summary>Whoever asked came in by a way that asks nobody who they are: plain TCP, or a socket handed to a container.</summary>
    public static bool IsIntruder(Build build, CoreState state)
        => build.Clients is [{ Transport: Transport.Tcp } or { Transport: Transport.Unix, Process.ContainerId.Length: > 0 }, ..]
            && !IsTrusted(build, state);

    private static bool Matches(TrustedClient trusted, BuildClient client, CoreState state)
    {
        ProcessSnapshot? process = client.Process;
        return (trusted.User.Length == 0 || (process is not null && state.UserName(process.Uid) == trusted.User))
            && (trusted.Uid is not { } uid || process?.Uid == uid)
            && (trusted.Exe.Length == 0 || process?.Exe == trusted.Exe)
            && (trusted.Remote is not { } remote || (client.Address is { } address && remote.Contains(address)))
            && trusted.TlsCommonName.Length == 0
            && (trusted.ContainerImage.Length == 0 || IsFrom(process, trusted.ContainerImage, state));
    }

    // "name" allows every tag of it, "name:tag" and a digest only themselves.
    private static bool IsFrom(ProcessSnapshot? process, string image, CoreState state)
    {
        if (process is not { ContainerId.Length: > 0 })
        {
            return false;
        }

        string made = state.ContainerImage(process.ContainerId);
        return made == image || made.StartsWith(image + ":", StringComparison.Ordinal) || made.StartsWith(image + "@", StringComparison.Ordinal);
    }
}
