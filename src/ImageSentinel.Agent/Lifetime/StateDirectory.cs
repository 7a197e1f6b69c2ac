using System.Text;
using ImageSentinel.Agent.Commands;
using ImageSentinel.Interop;

namespace ImageSentinel.Agent.Lifetime;

/// <summary>The folder that holds spool and baseline, and the lock that keeps a second agent out of it.</summary>
internal static class StateDirectory
{
    private const string LockFile = "agent.lock";
    private const uint OthersBits = 0x3F; // 077
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private static readonly string[] _ours = [LockFile, "host-id", "running", "spool.db", "baseline.db", "images.db", "evidence"];

    /// <exception cref="CommandException">It cannot be made or written.</exception>
    public static void Prepare(string path)
    {
        try
        {
            Directory.CreateDirectory(path, Private);
            string probe = Path.Combine(path, ".writable");
            File.WriteAllBytes(probe, []);
            File.Delete(probe);
        }
        catch (UnauthorizedAccessException)
        {
            throw new CommandException(ExitCode.MissingPrivilege, $"state_dir {path}: permission denied; run as root, or set state_dir to a folder that you may write");
        }
        catch (IOException e)
        {
            throw new CommandException(ExitCode.Failure, $"state_dir {path}: {e.Message}");
        }
    }

    /// <summary>Takes from everybody else what an earlier umask or a package left open: our files, and the folder when it is only ours.</summary>
    /// <param name="path">Prepared, and locked by us.</param>
    /// <param name="controlSocket">A folder that holds it stays open to the socket's group.</param>
    /// <returns>What was done, for the log; null when nothing was open.</returns>
    public static string? MakePrivate(string path, string controlSocket)
    {
        try
        {
            if (FileOwner.Of(path) is not { } owner || owner.Uid != FileOwner.EffectiveUser || (owner.Mode & OthersBits) == 0)
            {
                return null;
            }

            string[] open = [.. Directory.EnumerateFiles(path).Where(static file => IsOurs(file) && (File.GetUnixFileMode(file) & ~Private) != 0)];
            foreach (string file in open)
            {
                File.SetUnixFileMode(file, File.GetUnixFileMode(file) & Private);
            }

            // Somebody may have named a folder that others live in; taking that away from them would be worse.
            bool shared = controlSocket.StartsWith(path.TrimEnd('/') + "/", StringComparison.Ordinal)
                || Directory.EnumerateFileSystemEntries(path).Any(static entry => !IsOurs(entry));
            if (!shared)
            {
                File.SetUnixFileMode(path, Private);
            }

            string was = Convert.ToString(owner.Mode, 8).PadLeft(4, '0');
            return shared && open.Length == 0 ? null
                : shared ? $"state_dir {path} is open to others (mode {was}) and holds more than the agent's state: only our files were made private"
                : $"state_dir {path} was open to others (mode {was}) and is now 0700";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"state_dir {path} is open to others and cannot be made private: {e.Message}";
        }
    }

    private static bool IsOurs(string path)
        => _ours.Any(name => Path.GetFileName(path.AsSpan()).StartsWith(name, StringComparison.Ordinal));

    /// <exception cref="CommandException">Another agent has it.</exception>
    public static InstanceLock Lock(string path)
    {
        try
        {
            return InstanceLock.TryTake(Path.Combine(path, LockFile))
                ?? throw new CommandException(ExitCode.Failure, $"another agent{Holder(path)} uses {path}; stop it first, or give this one its own state_dir and control_socket");
        }
        catch (LinuxException e)
        {
            throw new CommandException(ExitCode.Failure, $"state_dir {path}: {e.Message}");
        }
    }

    // Not through File: it takes flock(2) for FileShare, and the lock that is asked about is one of those.
    private static string Holder(string path)
    {
        try
        {
            string text = SafeFile.ReadBeneath(path, LockFile, 32, out byte[] content) == SafeReadStatus.Done ? Encoding.ASCII.GetString(content).Trim() : "";
            return text.Length is > 0 and < 12 && text.All(char.IsAsciiDigit) ? $" (pid {text})" : "";
        }
        catch (LinuxException)
        {
            return "";
        }
    }
}
