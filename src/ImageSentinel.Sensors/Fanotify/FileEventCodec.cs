using System.Buffers.Binary;

namespace ImageSentinel.Sensors.Fanotify;

/// <summary>One file event below an engine's data root, still in the buffer it was read into.</summary>
public readonly ref struct FileEvent
{
    internal FileEvent(ulong mask, int pid, long startNanoseconds, byte engine, ReadOnlySpan<byte> path)
    {
        Mask = mask;
        Pid = pid;
        StartNanoseconds = startNanoseconds;
        Engine = engine;
        Path = path;
    }

    /// <summary>fanotify event bits. Several when the kernel merged events; their order is then lost.</summary>
    public ulong Mask { get; }

    /// <summary>Thread group id in the host's pid namespace; 0 when the sensor itself noticed (see <see cref="FileEventMask.Found"/>).</summary>
    public int Pid { get; }

    /// <summary>When that process started, CLOCK_BOOTTIME rounded down to 10 ms; 0 when it was gone or not asked for.</summary>
    public long StartNanoseconds { get; }

    /// <summary>Which watched data root.</summary>
    public byte Engine { get; }

    /// <summary>Path relative to the data root, no leading slash; bytes as the file system has them.</summary>
    public ReadOnlySpan<byte> Path { get; }
}

/// <summary>The bits of <see cref="FileEvent.Mask"/>: linux/fanotify.h's, and one of ours.</summary>
public static class FileEventMask
{
    public const ulong Modify = 0x2;
    public const ulong CloseWrite = 0x8;
    public const ulong MovedFrom = 0x40;
    public const ulong MovedTo = 0x80;
    public const ulong Create = 0x100;
    public const ulong Delete = 0x200;
    public const ulong OpenExec = 0x1000;
    public const ulong Overflow = 0x4000;
    public const ulong OnChild = 0x0800_0000;
    public const ulong OnDirectory = 0x4000_0000;

    /// <summary>Not the kernel's: the sensor looked and found the file already there with content, because its writing
    /// may have come before the mark. Bit 63 is above every bit fanotify uses.</summary>
    public const ulong Found = 1ul << 63;
}

/// <summary>Writes file events in the form that travels in items of kind Files.</summary>
/// <remarks>
/// Per event, little endian: mask u64, pid i32, start i64, engine u8, path length u16, path bytes. This is also what a
/// capture file holds: never change it, add a new item kind.
/// </remarks>
public static class FileEventCodec
{
    /// <summary>Bytes before the path.</summary>
    public const int HeaderSize = 8 + 4 + 8 + 1 + 2;

    /// <summary>Longest event: PATH_MAX for the directory, a slash and NAME_MAX.</summary>
    public const int MaxSize = HeaderSize + 4096 + 1 + 255;

    /// <summary>Writes one event whose path is <paramref name="directory"/>, a slash and <paramref name="name"/>;
    /// either may be empty.</summary>
    /// <returns>Bytes written, or 0 when <paramref name="destination"/> is too short; nothing is written then.</returns>
    public static int Write(
        Span<byte> destination, ulong mask, int pid, long startNanoseconds, byte engine, ReadOnlySpan<byte> directory, ReadOnlySpan<byte> name)
    {
        int slash = directory.IsEmpty || name.IsEmpty ? 0 : 1;
        int pathLength = directory.Length + slash + name.Length;
        if (pathLength > ushort.MaxValue || destination.Length < HeaderSize + pathLength)
        {
            return 0;
        }

        BinaryPrimitives.WriteUInt64LittleEndian(destination, mask);
        BinaryPrimitives.WriteInt32LittleEndian(destination[8..], pid);
        BinaryPrimitives.WriteInt64LittleEndian(destination[12..], startNanoseconds);
        destination[20] = engine;
        BinaryPrimitives.WriteUInt16LittleEndian(destination[21..], (ushort)pathLength);
        Span<byte> path = destination[HeaderSize..];
        directory.CopyTo(path);
        if (slash == 1)
        {
            path[directory.Length] = (byte)'/';
        }

        name.CopyTo(path[(directory.Length + slash)..]);
        return HeaderSize + pathLength;
    }
}

/// <summary>Walks the events of one item of kind Files.</summary>
public ref struct FileEventReader(ReadOnlySpan<byte> item)
{
    private ReadOnlySpan<byte> _rest = item;

    /// <summary>True once a length contradicted the item; events before it stay valid.</summary>
    public bool IsMalformed { get; private set; }

    public bool TryRead(out FileEvent fileEvent)
    {
        fileEvent = default;
        if (_rest.IsEmpty)
        {
            return false;
        }

        if (_rest.Length < FileEventCodec.HeaderSize)
        {
            return Refuse();
        }

        int length = BinaryPrimitives.ReadUInt16LittleEndian(_rest[21..]);
        if (_rest.Length - FileEventCodec.HeaderSize < length)
        {
            return Refuse();
        }

        fileEvent = new FileEvent(
            BinaryPrimitives.ReadUInt64LittleEndian(_rest),
            BinaryPrimitives.ReadInt32LittleEndian(_rest[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(_rest[12..]),
            _rest[20],
            _rest.Slice(FileEventCodec.HeaderSize, length));
        _rest = _rest[(FileEventCodec.HeaderSize + length)..];
        return true;
    }

    private bool Refuse()
    {
        IsMalformed = true;
        _rest = default;
        return false;
    }
}
