using System.Buffers.Binary;

namespace ImageSentinel.Kernel.Fanotify;

/// <summary>A file or directory as fanotify names it: the file system's id and a file handle.</summary>
/// <remarks>Empty when the event carries none. <see cref="Bytes"/> points into the read buffer.</remarks>
public readonly ref struct FanotifyHandle(ulong fileSystemId, int type, ReadOnlySpan<byte> bytes)
{
    /// <summary>Handle type of kernfs, which cgroup file systems live on.</summary>
    public const int FILEID_KERNFS = 0xfe;

    /// <summary>The two halves of <c>f_fsid</c> (statfs), first half lowest.</summary>
    public ulong FileSystemId { get; } = fileSystemId;

    /// <summary><c>handle_type</c>; means something to the file system only.</summary>
    public int Type { get; } = type;

    /// <summary><c>f_handle</c>: give it back to open_by_handle_at, or compare it.</summary>
    public ReadOnlySpan<byte> Bytes { get; } = bytes;

    public bool IsEmpty => Bytes.IsEmpty;

    /// <summary>On a cgroup file system the handle is the cgroup's id, the same that BPF and INET_DIAG give.</summary>
    public bool TryGetCgroupId(out ulong id)
    {
        bool isCgroup = Type == FILEID_KERNFS && Bytes.Length == sizeof(ulong);
        id = isCgroup ? BinaryPrimitives.ReadUInt64LittleEndian(Bytes) : 0;
        return isCgroup;
    }
}
