using ImageSentinel.Agent.Commands;
using ImageSentinel.Interop;

namespace ImageSentinel.Agent.Lifetime;

/// <summary>The folder that holds spool and baseline, and the lock that keeps a second agent out of it.</summary>
internal static class StateDirectory
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

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

    /// <exception cref="CommandException">Another agent has it.</exception>
    public static InstanceLock Lock(string path)
    {
        string file = Path.Combine(path, "agent.lock");
        try
        {
            return InstanceLock.TryTake(file)
                ?? throw new CommandException(ExitCode.Failure, $"another agent{Holder(file)} uses {path}; stop it first, or give this one its own state_dir and control_socket");
        }
        catch (LinuxException e)
        {
            throw new CommandException(ExitCode.Failure, $"state_dir {path}: {e.Message}");
        }
    }

    private static string Holder(string file)
    {
        try
        {
            string text = File.ReadAllText(file).Trim();
            return text.Length is > 0 and < 12 && text.All(char.IsAsciiDigit) ? $" (pid {text})" : "";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
