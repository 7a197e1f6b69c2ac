using System.Net.Sockets;
using ImageSentinel.Agent.Commands;
using ImageSentinel.Interop;

namespace ImageSentinel.Agent.Control;

/// <summary>The path side of the control socket: who may connect, and what a left-over file means.</summary>
internal static class ControlSocket
{
    /// <summary>Members of this group may ask and tell the agent; without the group only root may.</summary>
    public const string Group = "imagesentinel";

    /// <summary>True when somebody accepts connections at <paramref name="path"/>.</summary>
    public static bool IsAlive(string path)
    {
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>
    /// Binds without listening. A stale socket is removed first; anything else at the path is left alone and refused.
    /// </summary>
    /// <exception cref="CommandException">The path is taken, or the folder cannot be used.</exception>
    public static Socket Bind(string path)
    {
        try
        {
            string folder = Path.GetDirectoryName(path)!;
            if (!Directory.Exists(folder))
            {
                const UnixFileMode mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
                    | UnixFileMode.GroupRead | UnixFileMode.GroupExecute;
                Directory.CreateDirectory(folder, mode);
                File.SetUnixFileMode(folder, mode); // whatever the umask
                GiveToGroup(folder);
            }

            RemoveStale(path);
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                // Nobody can connect between here and the modes: connections are refused until listen(2).
                socket.Bind(new UnixDomainSocketEndPoint(path));
                File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite);
                GiveToGroup(path);
                return socket;
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }
        catch (UnauthorizedAccessException)
        {
            throw new CommandException(ExitCode.MissingPrivilege, $"control socket {path}: permission denied; run as root, or set control_socket to a folder that you may write");
        }
        catch (SocketException e)
        {
            throw new CommandException(ExitCode.Failure, $"control socket {path}: {e.Message}");
        }
        catch (IOException e)
        {
            throw new CommandException(ExitCode.Failure, $"control socket {path}: {e.Message}");
        }
    }

    private static void RemoveStale(string path)
    {
        if (!Path.Exists(path))
        {
            return;
        }

        if (IsAlive(path))
        {
            throw new CommandException(ExitCode.Failure, $"another agent already answers on {path}; stop it first, or give this one its own control_socket and state_dir");
        }

        // stat(2) through .NET tells sockets from files only by attributes; a regular file or folder is somebody's data.
        FileAttributes attributes = File.GetAttributes(path);
        bool ordinary = attributes.HasFlag(FileAttributes.Directory) || attributes.HasFlag(FileAttributes.ReparsePoint) || new FileInfo(path).Length > 0;
        if (ordinary)
        {
            throw new CommandException(ExitCode.Failure, $"control socket {path}: there is something else at this path; remove it, or set control_socket");
        }

        File.Delete(path);
    }

    private static void GiveToGroup(string path)
    {
        if (HostGroups.IdOf(Group) is not { } group)
        {
            return;
        }

        try
        {
            FileOwner.SetGroup(path, group);
        }
        catch (LinuxException)
        {
            // Without CAP_CHOWN and not in the group: the socket stays root's alone, the narrower of the two.
        }
    }
}
