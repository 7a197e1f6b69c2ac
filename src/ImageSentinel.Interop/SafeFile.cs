using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;
using Tmds.Linux;
using static ImageSentinel.Interop.NativeConstants;

namespace ImageSentinel.Interop;

/// <summary>How a guarded read ended.</summary>
public enum SafeReadStatus
{
    /// <summary>The whole file was read.</summary>
    Done,

    /// <summary>The file is longer than the limit; its beginning was read.</summary>
    Truncated,

    /// <summary>Nothing there.</summary>
    NotFound,

    /// <summary>There is something, but not a regular file below the root: a link, a device, a pipe, a way out.</summary>
    Refused,
}

/// <summary>Opens and reads files whose names somebody else chose, so that nothing below the root can lead out of it.</summary>
/// <remarks>
/// openat2(2) with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS: the kernel refuses, in one step and
/// without a race, every path that would leave the root or pass a symbolic link. O_NONBLOCK keeps a named pipe from
/// hanging us; whatever is not a regular file is closed unread.
/// </remarks>
public static unsafe class SafeFile
{
    private const int FirstGuess = 16 * 1024;

    /// <summary>Reads at most <paramref name="buffer"/>.Length bytes of a regular file below <paramref name="root"/>.</summary>
    /// <param name="root">A directory that we trust, opened by path.</param>
    /// <param name="relative">Bytes below it, no leading slash.</param>
    /// <param name="buffer">Receives the content.</param>
    /// <param name="length">Bytes written.</param>
    /// <exception cref="LinuxException">What is neither absent nor forbidden by the rules above (EIO, EMFILE, EACCES).</exception>
    public static SafeReadStatus ReadBeneath(FileSystemAnchor root, ReadOnlySpan<byte> relative, Span<byte> buffer, out int length)
    {
        length = 0;
        SafeReadStatus status = OpenBeneath(root, relative, out Descriptor? file);
        if (file is null)
        {
            return status;
        }

        using (file)
        {
            fixed (byte* bytes = buffer)
            {
                while (length < buffer.Length)
                {
                    long count = (long)LibC.read(file.Number, bytes + length, buffer.Length - length);
                    if (count > 0)
                    {
                        length += (int)count;
                        continue;
                    }

                    if (count == 0)
                    {
                        return SafeReadStatus.Done;
                    }

                    int errno = Marshal.GetLastPInvokeError();
                    if (errno != Errno.EINTR)
                    {
                        throw new LinuxException("read", errno);
                    }
                }

                byte more;
                return (long)LibC.read(file.Number, &more, 1) > 0 ? SafeReadStatus.Truncated : SafeReadStatus.Done;
            }
        }
    }

    /// <inheritdoc cref="ReadBeneath(FileSystemAnchor, ReadOnlySpan{byte}, Span{byte}, out int)"/>
    /// <param name="root">A directory that we trust.</param>
    /// <param name="relative">A path below it, no leading slash.</param>
    /// <param name="limit">Most bytes to read.</param>
    /// <param name="content">The bytes read; empty unless done or truncated.</param>
    public static SafeReadStatus ReadBeneath(string root, string relative, int limit, out byte[] content)
    {
        content = [];
        FileSystemAnchor anchor;
        try
        {
            anchor = FileSystemAnchor.Open(root);
        }
        catch (LinuxException e) when (e.Errno is Errno.ENOENT or Errno.ENOTDIR)
        {
            return SafeReadStatus.NotFound;
        }

        using (anchor)
        {
            // Most are a few kilobytes and the limit is megabytes: what is longer than the guess is read again.
            byte[] name = Encoding.UTF8.GetBytes(relative);
            for (int size = Math.Min(limit, FirstGuess); ; size = (int)Math.Min(limit, size * 8L))
            {
                byte[] buffer = ArrayPool<byte>.Shared.Rent(size);
                try
                {
                    SafeReadStatus status = ReadBeneath(anchor, name, buffer.AsSpan(0, size), out int length);
                    if (status != SafeReadStatus.Truncated || size == limit)
                    {
                        content = buffer[..length];
                        return status;
                    }
                }
                finally
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                }
            }
        }
    }

    /// <summary>Opens a regular file below <paramref name="root"/> for reading. The caller owns the descriptor.</summary>
    public static SafeReadStatus OpenBeneath(FileSystemAnchor root, ReadOnlySpan<byte> relative, out Descriptor? file)
        => OpenBeneath(root, relative, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, out file);

    internal static SafeReadStatus OpenBeneath(FileSystemAnchor root, ReadOnlySpan<byte> relative, int flags, out Descriptor? file)
    {
        ArgumentNullException.ThrowIfNull(root);
        file = null;
        if (relative.Length > 4095 || relative.Contains((byte)0))
        {
            return SafeReadStatus.Refused;
        }

        Span<byte> name = stackalloc byte[relative.Length + 1];
        relative.CopyTo(name);
        name[^1] = 0;
        open_how how = new()
        {
            flags = (ulong)flags,
            resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
        };

        nint descriptor;
        fixed (byte* text = name)
        {
            while ((descriptor = NativeMethods.SysCall(SYS_openat2, root.Number, (nint)text, (nint)(&how), sizeof(open_how))) < 0)
            {
                int errno = Marshal.GetLastPInvokeError();
                switch (errno)
                {
                    // EAGAIN: a rename raced with the walk and the kernel could not be sure; ask again.
                    case Errno.EINTR or Errno.EAGAIN:
                        continue;
                    case Errno.ENOENT or Errno.ENOTDIR or Errno.ESTALE:
                        return SafeReadStatus.NotFound;
                    // ENXIO: a socket, or a device without a driver.
                    case Errno.ELOOP or Errno.EXDEV or Errno.ENXIO:
                        return SafeReadStatus.Refused;
                    default:
                        throw new LinuxException("openat2", errno, errno == Errno.ENOSYS ? "needs Linux 5.6" : null);
                }
            }
        }

        var opened = new Descriptor((int)descriptor);
        stat status;
        if (LibC.fstat(opened.Number, &status) != 0 || ((uint)status.st_mode & S_IFMT) != S_IFREG)
        {
            opened.Dispose();
            return SafeReadStatus.Refused;
        }

        file = opened;
        return SafeReadStatus.Done;
    }

    /// <summary>Inode and device of what is at <paramref name="path"/>, links followed: what an audit rule by inode wants.</summary>
    /// <returns>Null when nothing is there.</returns>
    public static FileIdentity? IdentityOf(string path)
    {
        byte[] text = Encoding.UTF8.GetBytes(path + '\0');
        stat status;
        fixed (byte* bytes = text)
        {
            if (LibC.stat(bytes, &status) != 0)
            {
                return null;
            }
        }

        ulong device = (ulong)status.st_dev;
        // gnu_dev_major and gnu_dev_minor of sys/sysmacros.h.
        uint major = (uint)(((device >> 8) & 0xfff) | ((device >> 32) & ~0xffful));
        uint minor = (uint)((device & 0xff) | ((device >> 12) & ~0xfful));
        return new FileIdentity((ulong)status.st_ino, major, minor);
    }
}

/// <summary>A file by inode and device.</summary>
public readonly record struct FileIdentity(ulong Inode, uint DeviceMajor, uint DeviceMinor);
