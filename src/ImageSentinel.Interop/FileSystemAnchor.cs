using System.Runtime.InteropServices;
using System.Text;
using Tmds.Linux;
using static ImageSentinel.Interop.NativeConstants;

namespace ImageSentinel.Interop;

/// <summary>Owns a directory descriptor that names a mounted file system, and turns its file handles into paths.</summary>
/// <remarks>
/// Needs CAP_DAC_READ_SEARCH (open_by_handle_at). Handles are opened with O_PATH, which raises no fanotify event and
/// runs no driver code, and are closed before returning.
/// </remarks>
public sealed unsafe class FileSystemAnchor : Descriptor
{
    private FileSystemAnchor(int descriptor)
        : base(descriptor)
        => Path = "";

    /// <summary>The anchored directory's path as the kernel spells it: no symbolic links, no trailing slash.</summary>
    public string Path { get; private set; }

    /// <summary><c>f_fsid</c> of statfs(2), first half lowest: what fanotify puts beside each handle.</summary>
    public ulong FileSystemId { get; private set; }

    /// <exception cref="LinuxException">ENOENT, ENOTDIR or EACCES from the path.</exception>
    public static FileSystemAnchor Open(string path)
    {
        byte[] text = Encoding.UTF8.GetBytes(path + '\0');
        int descriptor;
        fixed (byte* bytes = text)
        {
            descriptor = Check(LibC.open(bytes, O_RDONLY | O_CLOEXEC | LibC.O_DIRECTORY), $"open({path})");
        }

        var anchor = new FileSystemAnchor(descriptor);
        Span<byte> target = stackalloc byte[4096];
        int length = ReadLinkOfDescriptor(descriptor, target);
        anchor.Path = length > 0 ? Encoding.UTF8.GetString(target[..length]) : path;
        statfs_native status;
        if (NativeMethods.FStatFs(descriptor, &status) != 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            anchor.Dispose();
            throw new LinuxException("fstatfs", errno);
        }

        anchor.FileSystemId = status.f_fsid;
        return anchor;
    }

    /// <summary>The path of the object a fanotify record names, as seen from this anchor's mount.</summary>
    /// <param name="handleType">The handle's type as reported.</param>
    /// <param name="handle">The handle's bytes, at most 128.</param>
    /// <param name="path">Receives the path. 4,096 bytes are enough for any.</param>
    /// <returns>The path's length; 0 when the object is gone (ESTALE) or the handle means nothing here.</returns>
    /// <exception cref="LinuxException">EPERM without CAP_DAC_READ_SEARCH, EMFILE: worth telling.</exception>
    public int PathOfHandle(int handleType, ReadOnlySpan<byte> handle, Span<byte> path)
    {
        if (handle.Length > file_handle_max.MaxHandleSize)
        {
            return 0;
        }

        file_handle_max native = default;
        native.handle_bytes = (uint)handle.Length;
        native.handle_type = handleType;
        handle.CopyTo(new Span<byte>(native.f_handle, file_handle_max.MaxHandleSize));

        int descriptor;
        while ((descriptor = NativeMethods.OpenByHandleAt(Number, &native, O_PATH | O_CLOEXEC)) < 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            switch (errno)
            {
                case Errno.EINTR:
                    continue;
                // ENOMEM: measured for directories that were being deleted while the handle was resolved.
                case Errno.ESTALE or Errno.EINVAL or Errno.ENOENT or Errno.EACCES or Errno.ENOMEM:
                    return 0;
                default:
                    throw new LinuxException("open_by_handle_at", errno, errno == Errno.EPERM ? "needs CAP_DAC_READ_SEARCH" : null);
            }
        }

        try
        {
            return ReadLinkOfDescriptor(descriptor, path);
        }
        finally
        {
            _ = LibC.close(descriptor);
        }
    }

    private static int ReadLinkOfDescriptor(int descriptor, Span<byte> target)
    {
        Span<byte> link = stackalloc byte[32];
        "/proc/self/fd/"u8.CopyTo(link);
        System.Buffers.Text.Utf8Formatter.TryFormat(descriptor, link[14..], out int digits);
        link[14 + digits] = 0;
        fixed (byte* name = link)
        fixed (byte* bytes = target)
        {
            long length = (long)LibC.readlink(name, bytes, target.Length);
            return length > 0 && length < target.Length ? (int)length : 0;
        }
    }
}
