using System.Runtime.InteropServices;
using Tmds.Linux;
using static ImageSentinel.Interop.NativeConstants;

namespace ImageSentinel.Interop;

/// <summary>Who was at the other end of a Unix socket when it was connected. Numbers of the host's namespaces.</summary>
public readonly record struct PeerCredentials(int Pid, uint Uid, uint Gid);

/// <summary>Owns a pidfd: a process that cannot turn into another one by reuse of its number.</summary>
public sealed unsafe class PidFd : Descriptor
{
    private PidFd(int descriptor)
        : base(descriptor)
    {
    }

    /// <returns>Null when there is no such process.</returns>
    /// <exception cref="LinuxException">ENOSYS before Linux 5.3; EMFILE.</exception>
    public static PidFd? TryOpen(int pid)
    {
        nint descriptor = NativeMethods.SysCall(SYS_pidfd_open, pid, 0, 0, 0);
        if (descriptor >= 0)
        {
            return new PidFd((int)descriptor);
        }

        int errno = Marshal.GetLastPInvokeError();
        return errno == Errno.ESRCH || errno == Errno.EINVAL ? null : throw new LinuxException("pidfd_open", errno);
    }

    /// <summary>Closes a pidfd that came inside an event and is of no use. Negative numbers (no process) are ignored.</summary>
    public static void Discard(int descriptor)
    {
        if (descriptor >= 0)
        {
            _ = LibC.close(descriptor);
        }
    }

    /// <summary>True while the process behind a borrowed pidfd runs; false also while it waits to be reaped.</summary>
    public static bool IsRunning(int descriptor)
    {
        pollfd_native set = new() { fd = descriptor, events = POLLIN };
        timespec_native now = default;
        return NativeMethods.PPoll(&set, 1, &now, null) == 0;
    }

    /// <summary>True while the process runs; false also while it waits to be reaped.</summary>
    public bool IsAlive => IsRunning(Number);

    /// <summary>Waits for the end of the process, or of <paramref name="timeout"/>.</summary>
    /// <returns>True when the process has ended.</returns>
    public bool WaitForExit(TimeSpan timeout)
    {
        pollfd_native set = new() { fd = Number, events = POLLIN };
        timespec_native limit = timespec_native.From(timeout);
        int ready;
        while ((ready = NativeMethods.PPoll(&set, 1, &limit, null)) < 0 && Marshal.GetLastPInvokeError() == Errno.EINTR)
        {
        }

        return ready > 0;
    }

    /// <summary>Who is at the other end of the Unix socket that the process has open as <paramref name="descriptor"/>.</summary>
    /// <remarks>The copy of the socket is closed at once: while open it would keep the connection alive.</remarks>
    /// <returns>Null when that descriptor is gone or is not a socket.</returns>
    /// <exception cref="LinuxException">EPERM without CAP_SYS_PTRACE; ENOSYS before Linux 5.6.</exception>
    public PeerCredentials? PeerOf(int descriptor)
    {
        nint copy = NativeMethods.SysCall(SYS_pidfd_getfd, Number, descriptor, 0, 0);
        if (copy < 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            return errno is Errno.EBADF or Errno.ESRCH
                ? null
                : throw new LinuxException("pidfd_getfd", errno, errno == Errno.EPERM ? "needs CAP_SYS_PTRACE" : null);
        }

        try
        {
            return PeerCredentialsOf((int)copy);
        }
        finally
        {
            _ = LibC.close((int)copy);
        }
    }

    /// <summary>SO_PEERCRED of a socket of our own.</summary>
    /// <returns>Null when the socket has no such peer.</returns>
    public static PeerCredentials? PeerOf(SafeHandle socket)
    {
        ArgumentNullException.ThrowIfNull(socket);
        bool held = false;
        try
        {
            socket.DangerousAddRef(ref held);
            return PeerCredentialsOf((int)socket.DangerousGetHandle());
        }
        finally
        {
            if (held)
            {
                socket.DangerousRelease();
            }
        }
    }

    private static PeerCredentials? PeerCredentialsOf(int socket)
    {
        ucred_native credentials;
        socklen_t length = (uint)sizeof(ucred_native);
        bool known = LibC.getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0;
        // A socket that nobody connected answers pid 0.
        return known && credentials.pid != 0 ? new PeerCredentials(credentials.pid, credentials.uid, credentials.gid) : null;
    }
}
