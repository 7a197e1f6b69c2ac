using System.Buffers.Text;
using System.Runtime.InteropServices;
using Tmds.Linux;
using static ImageSentinel.Interop.NativeConstants;

namespace ImageSentinel.Interop;

/// <summary>What fstat(2) says of a file.</summary>
/// <param name="Size">Bytes, holes included.</param>
/// <param name="Mode">Permission bits, set-id and sticky bits.</param>
/// <param name="ModifiedNanoseconds">Last change of content; an owner can set it back.</param>
/// <param name="ChangedNanoseconds">Last change of anything; nobody can set it.</param>
public readonly record struct FileFacts(long Size, uint Mode, long ModifiedNanoseconds, long ChangedNanoseconds);

/// <summary>A regular file opened for reading below a root we trust. Owns its descriptor.</summary>
/// <remarks>
/// Found by <see cref="SafeFile"/>'s rules, first as O_PATH, which runs no driver's code and wakes nobody who waits at the
/// other end of a pipe. Only what then is a regular file is opened, by its descriptor: the name is not asked again.
/// </remarks>
public sealed unsafe class RegularFile : IDisposable
{
    private readonly Descriptor _file;

    private RegularFile(Descriptor file) => _file = file;

    /// <exception cref="LinuxException">What is neither absent nor refused: EACCES, EMFILE, EIO.</exception>
    public static SafeReadStatus Open(FileSystemAnchor root, ReadOnlySpan<byte> relative, out RegularFile? file)
    {
        file = null;
        SafeReadStatus status = SafeFile.OpenBeneath(root, relative, O_PATH | O_CLOEXEC, out Descriptor? place);
        if (place is null)
        {
            return status;
        }

        using (place)
        {
            Span<byte> link = stackalloc byte[32];
            "/proc/self/fd/"u8.CopyTo(link);
            Utf8Formatter.TryFormat(place.Number, link[14..], out int digits);
            link[14 + digits] = 0;
            int descriptor;
            fixed (byte* name = link)
            {
                // O_NONBLOCK: a lease held on it is refused instead of waited for.
                descriptor = LibC.open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
            }

            if (descriptor < 0)
            {
                throw LinuxException.FromLastError("open");
            }

            file = new RegularFile(new Descriptor(descriptor));
            return SafeReadStatus.Done;
        }
    }

    public FileFacts Facts()
    {
        stat status;
        if (LibC.fstat(_file.Number, &status) != 0)
        {
            throw LinuxException.FromLastError("fstat");
        }

        return new FileFacts(
            (long)status.st_size,
            (uint)status.st_mode & S_PERMISSIONS,
            Nanoseconds(status.st_mtim),
            Nanoseconds(status.st_ctim));
    }

    /// <summary>Reads from an offset; fewer bytes than asked for only at the end.</summary>
    public int Read(long offset, Span<byte> buffer)
    {
        int length = 0;
        fixed (byte* bytes = buffer)
        {
            while (length < buffer.Length)
            {
                long count = (long)LibC.pread(_file.Number, bytes + length, buffer.Length - length, offset + length);
                if (count == 0)
                {
                    break;
                }

                if (count > 0)
                {
                    length += (int)count;
                }
                else if (Marshal.GetLastPInvokeError() != Errno.EINTR)
                {
                    throw LinuxException.FromLastError("pread");
                }
            }
        }

        return length;
    }

    public void Dispose() => _file.Dispose();

    private static long Nanoseconds(timespec time) => ((long)time.tv_sec * 1_000_000_000) + (long)time.tv_nsec;
}
