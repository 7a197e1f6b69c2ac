using System.Runtime.InteropServices;
using System.Text;
using Tmds.Linux;
using static ImageSentinel.Interop.NativeConstants;

namespace ImageSentinel.Interop;

/// <summary>Owns an advisory lock on a file: one agent per host. The kernel drops it with the process, also on kill -9.</summary>
public sealed unsafe class InstanceLock : Descriptor
{
    private InstanceLock(int descriptor)
        : base(descriptor)
    {
    }

    /// <summary>Takes the lock, or says that somebody has it.</summary>
    /// <param name="path">The file; made if absent, never removed (a lock on a removed file guards nothing).</param>
    /// <returns>Null when another process holds the lock.</returns>
    /// <exception cref="LinuxException">The file cannot be opened.</exception>
    public static InstanceLock? TryTake(string path)
    {
        byte[] text = Encoding.UTF8.GetBytes(path + '\0');
        InstanceLock file;
        fixed (byte* bytes = text)
        {
            file = new InstanceLock(Check(
                LibC.open(bytes, O_RDWR | O_CREAT | O_CLOEXEC | LibC.O_NOFOLLOW, 0x180), // 0600
                $"open({path})"));
        }

        if (NativeMethods.FLock(file.Number, LOCK_EX | LOCK_NB) != 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            file.Dispose();
            return errno == Errno.EAGAIN ? null : throw new LinuxException("flock", errno);
        }

        // Who holds it, for people; the lock itself is what counts.
        byte[] pid = Encoding.ASCII.GetBytes($"{Environment.ProcessId}\n");
        fixed (byte* bytes = pid)
        {
            _ = LibC.ftruncate(file.Number, 0);
            _ = LibC.write(file.Number, bytes, pid.Length);
        }

        return file;
    }
}
