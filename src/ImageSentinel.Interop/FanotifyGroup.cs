using System.Runtime.InteropServices;
using System.Text;
using Tmds.Linux;
using static ImageSentinel.Interop.NativeConstants;

namespace ImageSentinel.Interop;

/// <summary>What a group reports with each event, in order of worth. Values are fanotify_init(2)'s.</summary>
[Flags]
public enum FanotifyReport : uint
{
    None = 0,
    PidFd = 0x80,
    Fid = 0x200,
    DirFid = 0x400,
    Name = 0x800,
    TargetFid = 0x1000,
}

/// <summary>Where a mark sits and what is done with it. Values are fanotify_mark(2)'s.</summary>
[Flags]
public enum FanotifyMark : uint
{
    Add = 0x1,
    Remove = 0x2,
    DontFollow = 0x4,
    OnlyDir = 0x8,
    FileSystem = 0x100,
}

/// <summary>Owns one fanotify group in notification mode. Closing it makes the kernel forget every mark made through it.</summary>
/// <remarks>
/// Owns the group descriptor only. Descriptors that arrive inside events (pidfds) belong to whoever reads the event.
/// Never a permission group: a hung listener of one hangs the host's programs.
/// </remarks>
public sealed unsafe class FanotifyGroup : Descriptor
{
    // Best first. DFID_NAME (directory handle and name) is from Linux 5.9, PIDFD 5.15, TARGET_FID 5.17; a kernel that
    // lacks one answers EINVAL, so we ask and never look at its version.
    private static readonly FanotifyReport[] s_wishes =
    [
        FanotifyReport.Fid | FanotifyReport.DirFid | FanotifyReport.Name | FanotifyReport.TargetFid | FanotifyReport.PidFd,
        FanotifyReport.Fid | FanotifyReport.DirFid | FanotifyReport.Name | FanotifyReport.PidFd,
        FanotifyReport.Fid | FanotifyReport.DirFid | FanotifyReport.Name,
        FanotifyReport.DirFid | FanotifyReport.Name,
    ];

    private FanotifyGroup(int descriptor, FanotifyReport report)
        : base(descriptor)
        => Report = report;

    /// <summary>What this kernel agreed to report.</summary>
    public FanotifyReport Report { get; }

    /// <summary>Opens a group that reports directory handle and name, and as much more as this kernel knows and
    /// <paramref name="without"/> does not exclude.</summary>
    /// <exception cref="LinuxException">EPERM without CAP_SYS_ADMIN; EINVAL when this kernel cannot report names
    /// (before 5.9); EMFILE at the limit fs.fanotify.max_user_groups.</exception>
    public static FanotifyGroup Open(FanotifyReport without = FanotifyReport.None)
    {
        int errno = Errno.EINVAL;
        foreach (FanotifyReport wish in s_wishes)
        {
            if ((wish & without) != 0)
            {
                continue;
            }

            int descriptor = NativeMethods.FanotifyInit(
                FAN_CLOEXEC | FAN_NONBLOCK | (uint)wish,
                O_RDONLY | O_CLOEXEC);
            if (descriptor >= 0)
            {
                return new FanotifyGroup(descriptor, wish);
            }

            errno = Marshal.GetLastPInvokeError();
            if (errno != Errno.EINVAL)
            {
                break;
            }
        }

        throw new LinuxException("fanotify_init", errno, errno switch
        {
            Errno.EPERM => "needs CAP_SYS_ADMIN in the host's user namespace",
            Errno.EINVAL => "this kernel cannot report directory handles with names (Linux 5.9 can)",
            Errno.EMFILE => "see fs.fanotify.max_user_groups and the open files limit",
            _ => null,
        });
    }

    /// <summary>Adds or removes a mark at <paramref name="path"/>.</summary>
    /// <param name="flags">Where and how.</param>
    /// <param name="mask">The events asked for.</param>
    /// <param name="path">UTF-8 as the file system has it.</param>
    /// <exception cref="LinuxException">ENODEV or EOPNOTSUPP where the file system has no usable handles.</exception>
    public void Mark(FanotifyMark flags, ulong mask, string path) => Mark(flags, mask, Encoding.UTF8.GetBytes(path));

    /// <inheritdoc cref="Mark(FanotifyMark, ulong, string)"/>
    public void Mark(FanotifyMark flags, ulong mask, ReadOnlySpan<byte> path)
    {
        Span<byte> terminated = path.Length < 512 ? stackalloc byte[path.Length + 1] : new byte[path.Length + 1];
        path.CopyTo(terminated);
        terminated[^1] = 0;
        fixed (byte* text = terminated)
        {
            if (NativeMethods.FanotifyMark(Number, (uint)flags, mask, AT_FDCWD, text) != 0)
            {
                int errno = Marshal.GetLastPInvokeError();
                throw new LinuxException("fanotify_mark", errno, errno switch
                {
                    Errno.EPERM => "needs CAP_SYS_ADMIN in the host's user namespace",
                    Errno.ENODEV or Errno.EOPNOTSUPP or Errno.EXDEV => "this file system gives no handles that fanotify can report",
                    Errno.ENOSPC => "see fs.fanotify.max_user_marks",
                    _ => null,
                });
            }
        }
    }

    /// <summary>Fills <paramref name="buffer"/> with whole events. Zero means the queue is empty.</summary>
    /// <exception cref="LinuxException">EINVAL when the buffer is too small for the next event.</exception>
    public int Read(Span<byte> buffer)
    {
        fixed (byte* bytes = buffer)
        {
            while (true)
            {
                long count = (long)LibC.read(Number, bytes, buffer.Length);
                if (count >= 0)
                {
                    return (int)count;
                }

                int errno = Marshal.GetLastPInvokeError();
                if (errno == Errno.EAGAIN)
                {
                    return 0;
                }

                if (errno != Errno.EINTR)
                {
                    throw new LinuxException("read(fanotify)", errno);
                }
            }
        }
    }

    /// <summary>Sleeps until an event is there, a wake-up or the end of <paramref name="timeout"/> (negative: for ever).</summary>
    public PollResult Wait(Wakeup wakeup, TimeSpan timeout)
    {
        ArgumentNullException.ThrowIfNull(wakeup);
        return Poller.Wait(wakeup, this, timeout);
    }
}
