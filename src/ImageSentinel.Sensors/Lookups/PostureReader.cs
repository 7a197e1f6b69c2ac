using System.Globalization;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Posture;
using ImageSentinel.Docker;
using ImageSentinel.Interop;

namespace ImageSentinel.Sensors.Lookups;

/// <summary>Reads how an engine is set up: the socket file, the host's group file, the daemon's listening sockets, its
/// configuration, and what it says of itself. Reads only; works with or without a running agent.</summary>
public static class PostureReader
{
    private static readonly string[] s_builders = ["buildkitd", "buildah", "podman", "executor"];

    /// <param name="index">Position in the configuration.</param>
    /// <param name="socket">Path of the API socket.</param>
    public static async Task<PostureFact> ReadAsync(int index, string socket, CancellationToken cancellation)
    {
        var unread = new List<string>();
        FileOwnership? file = FileOwner.Of(socket);
        if (file is null)
        {
            unread.Add($"socket: {socket} is not there, or not for us to see");
        }

        (int pid, DaemonConfiguration configuration) = Daemon(socket, unread);
        EngineSetup? setup = null;
        try
        {
            setup = await EngineSetup.ReadAsync(socket, cancellation).ConfigureAwait(false);
        }
        catch (EngineApiException e)
        {
            unread.Add($"engine: {socket}: {e.Message}");
            unread.Add($"containers: {socket}: {e.Message}");
        }

        return new PostureFact(
            index,
            socket,
            file?.Mode ?? 0,
            file is { } owned ? NameOf("/etc/passwd", owned.Uid) : "",
            file is { } grouped ? NameOf("/etc/group", grouped.Gid) : "",
            file is { } shared ? MembersOf(shared.Gid) : [],
            Listeners(pid, configuration, unread),
            configuration.Tls,
            configuration.TlsVerify,
            Joined(configuration.AuthorizationPlugins, setup?.AuthorizationPlugins),
            Joined(configuration.InsecureRegistries.Where(static r => !r.StartsWith("127.", StringComparison.Ordinal) && !r.StartsWith("localhost", StringComparison.Ordinal)), setup?.InsecureRegistries),
            setup?.SecurityOptions ?? [],
            [.. (setup?.Containers ?? []).Select(c => Describe(c, socket)).OrderBy(static c => c.Id, StringComparer.Ordinal)],
            setup?.ContainersBeyond ?? 0,
            unread);
    }

    private static (int Pid, DaemonConfiguration Configuration) Daemon(string socket, List<string> unread)
    {
        try
        {
            int pid = EngineDiscovery.DaemonBehind(socket);
            return (pid, EngineDiscovery.ReadConfiguration(pid, ProcessReader.Read(pid)?.Args ?? []));
        }
        catch (LinuxException e)
        {
            unread.Add($"listeners: {socket}: {e.Message}");
            return (0, DaemonConfiguration.Parse([], default));
        }
    }

    // The kernel's table; without the right to see it, what the daemon was told.
    private static List<ApiListener> Listeners(int pid, DaemonConfiguration configuration, List<string> unread)
    {
        if (pid > 1 && ListeningSockets.TcpOf(pid, [.. configuration.OtherPorts]) is { } seen)
        {
            return seen;
        }

        if (pid > 0)
        {
            unread.Add("listeners: the daemon's open sockets are not for us to see; what it was told is told instead");
        }

        return [.. configuration.Hosts
            .Where(static h => h.StartsWith("tcp://", StringComparison.Ordinal))
            .Select(h => new ApiListener(HostOf(h), DaemonConfiguration.PortOf(h) is > 0 and int port ? port : configuration.Tls ? 2376 : 2375))];
    }

    private static string HostOf(string url)
    {
        string rest = url["tcp://".Length..];
        int colon = rest.LastIndexOf(':');
        string host = (colon < 0 ? rest : rest[..colon]).Trim('[', ']');
        return host.Length == 0 ? "127.0.0.1" : host;
    }

    private static PostureContainer Describe(RunningContainer container, string socket)
    {
        (string source, string target) = container.Mounts.FirstOrDefault(m => Holds(m.Source, socket));
        string builder = container.Command
            .Select(static w => w[(w.LastIndexOf('/') + 1)..])
            .FirstOrDefault(static w => Array.IndexOf(s_builders, w) >= 0) ?? "";
        if (builder == "executor")
        {
            builder = container.Image.Contains("kaniko", StringComparison.Ordinal) ? "kaniko" : "";
        }

        return new PostureContainer(
            container.Id, container.Name, container.Image, container.User, container.Privileged, source ?? "", target ?? "", builder);
    }

    // The socket itself under any name, a folder that holds it, or containerd's, which is as good.
    private static bool Holds(string source, string socket)
    {
        if (source.EndsWith("/containerd.sock", StringComparison.Ordinal) || source == socket)
        {
            return true;
        }

        string folder = source.TrimEnd('/') + "/";
        string real = socket.StartsWith("/var/run/", StringComparison.Ordinal) ? socket[4..] : socket;
        return socket.StartsWith(folder, StringComparison.Ordinal)
            || real.StartsWith(folder, StringComparison.Ordinal)
            || (SafeFile.IdentityOf(source) is { } identity && identity == SafeFile.IdentityOf(socket));
    }

    private static List<string> Joined(IEnumerable<string> configured, IEnumerable<string>? told)
        => [.. configured.Concat(told ?? []).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];

    // Plain files, never the name service.
    private static string NameOf(string file, uint id)
        => Fields(file).FirstOrDefault(f => f.Length > 2 && f[2] == id.ToString(CultureInfo.InvariantCulture))?[0]
            ?? id.ToString(CultureInfo.InvariantCulture);

    private static List<string> MembersOf(uint gid)
    {
        string id = gid.ToString(CultureInfo.InvariantCulture);
        IEnumerable<string> listed = Fields("/etc/group").Where(f => f.Length > 3 && f[2] == id).SelectMany(static f => f[3].Split(',', StringSplitOptions.RemoveEmptyEntries));
        IEnumerable<string> primary = Fields("/etc/passwd").Where(f => f.Length > 3 && f[3] == id).Select(static f => f[0]);
        return [.. listed.Concat(primary).Where(static u => u != "root").Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
    }

    private static IEnumerable<string[]> Fields(string file)
    {
        try
        {
            return [.. File.ReadLines(file).Take(20_000).Select(static l => l.Split(':'))];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
