using System.Globalization;
using ImageSentinel.Detection.Model;
using ImageSentinel.Docker;
using ImageSentinel.Interop;

namespace ImageSentinel.Sensors.Lookups;

/// <summary>Finds out what is behind an engine's socket: who listens, and where it keeps things.</summary>
public static class EngineDiscovery
{
    private const int MaximumConfiguration = 1 << 20;

    /// <param name="index">Position in the configuration.</param>
    /// <param name="socket">Path of the API socket.</param>
    /// <param name="dataRoot">From the configuration; empty to ask the engine.</param>
    public static async Task<EngineFact> FindAsync(int index, string socket, string dataRoot, CancellationToken cancellation)
    {
        ulong inode = SafeFile.IdentityOf(socket)?.Inode ?? 0;
        try
        {
            int pid = DaemonBehind(socket);
            EngineInfo info = await EngineApi.AskAsync(socket, cancellation).ConfigureAwait(false);
            if (pid == 0)
            {
                // Our question started it.
                pid = DaemonBehind(socket);
            }

            ProcessFact? daemon = ProcessReader.Read(pid);
            IReadOnlyList<string> arguments = daemon?.Args ?? [];
            DaemonConfiguration configuration = ReadConfiguration(pid, arguments);
            return new EngineFact(
                index,
                socket,
                inode,
                pid,
                daemon?.StartBoot ?? 0,
                dataRoot.Length > 0 ? dataRoot.TrimEnd('/') : info.DataRoot,
                DaemonConfiguration.ValuesOf(arguments, "--exec-root").FirstOrDefault("/var/run/docker").TrimEnd('/'),
                info.Version,
                info.StorageDriver,
                DaemonConfiguration.ValuesOf(arguments, "--dns"),
                configuration.Hosts,
                configuration.Tls,
                true,
                "");
        }
        catch (Exception e) when (e is EngineApiException or LinuxException)
        {
            return new EngineFact(index, socket, inode, 0, 0, dataRoot.TrimEnd('/'), "", "", "", [], [], false, false, $"{socket}: {e.Message}");
        }
    }

    /// <summary>The daemon that serves a socket.</summary>
    /// <remarks>SO_PEERCRED names whoever called listen(2). With socket activation (docker.socket, <c>-H fd://</c>) that is
    /// systemd; the daemon then is the other process that holds the listening socket.</remarks>
    /// <returns>0 when only systemd holds it: the daemon is not running yet.</returns>
    internal static int DaemonBehind(string socket)
    {
        int listener = SocketPeer.Of(socket).Pid;
        return listener != 1 ? listener
            : ListeningSockets.HolderOf(socket) is { } daemon ? daemon
            : ProcessReader.Read(1)?.Exe is { } first && first.EndsWith("/dockerd", StringComparison.Ordinal) ? 1
            : 0;
    }

    /// <summary>What a daemon was told, as far as it can be read; its file is looked up in its own mount namespace.</summary>
    internal static DaemonConfiguration ReadConfiguration(int pid, IReadOnlyList<string> arguments)
        => DaemonConfiguration.Parse(arguments, ReadFile(pid, DaemonConfiguration.FileOf(arguments)));

    // Written by root, so links in it are nobody's trick; many hosts keep the file behind one.
    private static byte[] ReadFile(int pid, string path)
    {
        string file = string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/root/{path.TrimStart('/')}");
        try
        {
            using FileStream stream = File.OpenRead(file);
            byte[] buffer = new byte[MaximumConfiguration];
            int length = stream.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
            return length == buffer.Length ? [] : buffer[..length];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
