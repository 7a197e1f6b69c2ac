using ImageSentinel.Detection.Model;
using ImageSentinel.Docker;
using ImageSentinel.Interop;

namespace ImageSentinel.Sensors.Lookups;

/// <summary>Finds out what is behind an engine's socket: who listens, and where it keeps things.</summary>
public static class EngineDiscovery
{
    /// <param name="index">Position in the configuration.</param>
    /// <param name="socket">Path of the API socket.</param>
    /// <param name="dataRoot">From the configuration; empty to ask the engine.</param>
    public static async Task<EngineFact> FindAsync(int index, string socket, string dataRoot, CancellationToken cancellation)
    {
        ulong inode = SafeFile.IdentityOf(socket)?.Inode ?? 0;
        try
        {
            PeerCredentials peer = SocketPeer.Of(socket);
            EngineInfo info = await EngineApi.AskAsync(socket, cancellation).ConfigureAwait(false);
            ProcessFact? daemon = ProcessReader.Read(peer.Pid);
            IReadOnlyList<string> arguments = daemon?.Args ?? [];
            return new EngineFact(
                index,
                socket,
                inode,
                peer.Pid,
                daemon?.StartBoot ?? 0,
                dataRoot.Length > 0 ? dataRoot.TrimEnd('/') : info.DataRoot,
                ValuesOf(arguments, "--exec-root").FirstOrDefault("/var/run/docker").TrimEnd('/'),
                info.Version,
                info.StorageDriver,
                ValuesOf(arguments, "--dns"),
                ValuesOf(arguments, "-H", "--host"),
                arguments.Any(static a => a is "--tls" or "--tls=true" or "--tlsverify" or "--tlsverify=true"),
                true,
                "");
        }
        catch (Exception e) when (e is EngineApiException or LinuxException)
        {
            return new EngineFact(index, socket, inode, 0, 0, dataRoot.TrimEnd('/'), "", "", "", [], [], false, false, $"{socket}: {e.Message}");
        }
    }

    /// <summary>All values of an option in a command line, written "--name value" or "--name=value".</summary>
    internal static List<string> ValuesOf(IReadOnlyList<string> arguments, params ReadOnlySpan<string> names)
    {
        var values = new List<string>();
        for (int i = 0; i < arguments.Count; i++)
        {
            foreach (string name in names)
            {
                if (arguments[i] == name && i + 1 < arguments.Count)
                {
                    values.Add(arguments[i + 1]);
                }
                else if (arguments[i].StartsWith(name + "=", StringComparison.Ordinal))
                {
                    values.Add(arguments[i][(name.Length + 1)..]);
                }
            }
        }

        return values;
    }
}
