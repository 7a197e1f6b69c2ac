using System.Buffers.Binary;
using System.Text;
using ImageSentinel.Interop;
using ImageSentinel.Kernel.Fanotify;
using ImageSentinel.Sensors.Reading;

namespace ImageSentinel.Sensors.Fanotify;

/// <summary>Turns fanotify events into file events below a data root, and drops the rest as early as it can.</summary>
/// <remarks>
/// One thread. Closes every pidfd that it is handed. Most events of a host are not below a data root: they cost one
/// look-up of the directory's handle. The mark on the file system asks for names and ends of writing only; a step's
/// config.json stays open until the step ends, so its directory gets a mark of its own that reports each write.
/// </remarks>
internal sealed class LayerEventResolver(
    FanotifyGroup group, FileInterest interest, FileBatchWriter output, LossLedger ledger, Action<string> onTrouble)
{
    // A handle key: fsid 8, type 4, handle at most 128.
    private const int MaxKeySize = 8 + 4 + 128;
    private const int CachedDirectories = 32 * 1024;
    private static readonly byte[] s_bundleConfig = "config.json"u8.ToArray();

    private readonly int _self = Environment.ProcessId;
    private readonly DirectoryCache _directories = new(CachedDirectories);
    private readonly byte[] _path = new byte[4096];
    private DataRoot[] _roots = [];

    /// <summary>Events that concerned no data root or nothing of interest in it.</summary>
    public long Discarded { get; private set; }

    /// <summary>Events whose directory was gone before its path could be asked for.</summary>
    public long Unresolved { get; private set; }

    /// <summary>Events that contradicted themselves.</summary>
    public long Malformed { get; private set; }

    /// <summary>Takes up a new set of roots: what was outside may be inside now.</summary>
    public void SetRoots(DataRoot[] roots)
    {
        _roots = roots;
        _directories.Clear();
    }

    /// <summary>Finds the steps that already run below a root that was just taken up.</summary>
    public void FindRunningSteps(DataRoot root)
    {
        string executor = Encoding.UTF8.GetString(root.PathOf("buildkit/executor"u8));
        try
        {
            foreach (string step in Directory.EnumerateDirectories(executor))
            {
                WaitForBundleConfig(root, Encoding.UTF8.GetBytes($"buildkit/executor/{Path.GetFileName(step)}"));
            }
        }
        catch (DirectoryNotFoundException)
        {
            // No BuildKit step ever ran here.
        }
    }

    /// <summary>The moment at which the events handled next were read.</summary>
    public void At(long bootNanoseconds, long wallNanoseconds) => output.At(bootNanoseconds, wallNanoseconds);

    /// <summary>Hands on what was gathered.</summary>
    public void Flush() => output.Flush();

    /// <summary>Handles what one read returned.</summary>
    public void Resolve(ReadOnlySpan<byte> events)
    {
        var reader = new FanotifyEventReader(events);
        while (reader.TryRead(out FanotifyEvent fanotifyEvent))
        {
            if (fanotifyEvent.IsOverflow)
            {
                ledger.Overflowed();
                output.Hole();
                continue;
            }

            try
            {
                Resolve(in fanotifyEvent);
            }
            finally
            {
                PidFd.Discard(fanotifyEvent.PidDescriptor);
                PidFd.Discard(fanotifyEvent.Descriptor);
            }
        }

        if (reader.IsMalformed)
        {
            Malformed++;
            output.Hole();
        }
    }

    private void Resolve(in FanotifyEvent fanotifyEvent)
    {
        if (fanotifyEvent.IsMalformed || fanotifyEvent.Directory.IsEmpty)
        {
            Malformed++;
            return;
        }

        if (fanotifyEvent.ProcessId == _self)
        {
            Discarded++;
            return;
        }

        DirectoryFact? directory = FactOf(fanotifyEvent.Directory);
        if (directory is null)
        {
            Unresolved++;
            return;
        }

        if (directory.Engine < 0)
        {
            Discarded++;
            return;
        }

        if (fanotifyEvent.IsDirectory)
        {
            FollowDirectory(in fanotifyEvent, directory);
        }

        if (!interest.Wants(directory.Interest, fanotifyEvent.Name, fanotifyEvent.Mask))
        {
            Discarded++;
            return;
        }

        // "." is the directory itself.
        ReadOnlySpan<byte> name = fanotifyEvent.Name.SequenceEqual("."u8) ? default : fanotifyEvent.Name;
        output.Write(
            fanotifyEvent.Mask,
            fanotifyEvent.ProcessId,
            directory.Interest is DirectoryInterest.LayerFiles ? 0 : StartTimeOf(in fanotifyEvent),
            (byte)directory.Engine,
            directory.Path,
            name);
    }

    // The pidfd was made for the process that did it. If that process still runs after /proc was read, then /proc told
    // about it and not about a later owner of the number.
    private static long StartTimeOf(in FanotifyEvent fanotifyEvent)
    {
        if (fanotifyEvent.PidDescriptor < 0 || !ProcessStat.TryReadStartTime(fanotifyEvent.ProcessId, out long start))
        {
            return 0;
        }

        return PidFd.IsRunning(fanotifyEvent.PidDescriptor) ? start : 0;
    }

    private void FollowDirectory(in FanotifyEvent fanotifyEvent, DirectoryFact parent)
    {
        const ulong appeared = FileEventMask.Create | FileEventMask.MovedTo;
        const ulong vanished = FileEventMask.Delete | FileEventMask.MovedFrom;
        ulong mask = fanotifyEvent.Mask;
        if ((mask & (appeared | vanished)) == 0)
        {
            return;
        }

        byte[] path = Join(parent.Path, fanotifyEvent.Name);
        if ((mask & FileEventMask.MovedFrom) != 0)
        {
            _directories.ForgetBelow(parent.Engine, path);
        }

        // With both in one mask the directory is gone by now.
        if ((mask & vanished) != 0)
        {
            if (!fanotifyEvent.Object.IsEmpty)
            {
                Span<byte> key = stackalloc byte[MaxKeySize];
                _directories.Remove(KeyOf(fanotifyEvent.Object, key));
            }

            return;
        }

        // Names from the creation: by the time its children's events are read the handle may be stale.
        DirectoryInterest judged = FileInterest.Judge(path);
        if (!fanotifyEvent.Object.IsEmpty)
        {
            Span<byte> key = stackalloc byte[MaxKeySize];
            _directories.Set(KeyOf(fanotifyEvent.Object, key), new DirectoryFact(parent.Engine, path, judged));
        }

        if (judged == DirectoryInterest.StepBundle && RootOf(parent.Engine) is { } root)
        {
            WaitForBundleConfig(root, path);
        }
    }

    // Mark first, look second: either the write comes after the mark and is reported, or the look finds its result.
    private void WaitForBundleConfig(DataRoot root, byte[] bundle)
    {
        try
        {
            group.Mark(
                FanotifyMark.Add | FanotifyMark.OnlyDir | FanotifyMark.DontFollow,
                FileEventMask.Modify | FileEventMask.OnChild,
                root.PathOf(bundle));
        }
        catch (LinuxException e)
        {
            // ENOENT: the step is over already.
            if (e.Errno != Errno.ENOENT)
            {
                onTrouble(e.Message);
            }

            return;
        }

        byte[] config = Join(bundle, s_bundleConfig);
        var file = new FileInfo(Encoding.UTF8.GetString(root.PathOf(config)));
        if (file.Exists && file.Length > 0)
        {
            output.Write(FileEventMask.Found, 0, 0, root.Engine, bundle, s_bundleConfig);
        }
    }

    private DirectoryFact? FactOf(FanotifyHandle handle)
    {
        Span<byte> keyBuffer = stackalloc byte[MaxKeySize];
        ReadOnlySpan<byte> key = KeyOf(handle, keyBuffer);
        if (_directories.TryGet(key, out DirectoryFact? known))
        {
            return known;
        }

        FileSystemAnchor? anchor = null;
        foreach (DataRoot root in _roots)
        {
            if (root.Anchor.FileSystemId == handle.FileSystemId)
            {
                anchor = root.Anchor;
                break;
            }
        }

        int length;
        try
        {
            length = anchor?.PathOfHandle(handle.Type, handle.Bytes, _path) ?? 0;
        }
        catch (LinuxException e)
        {
            onTrouble(e.Message);
            return null;
        }

        ReadOnlySpan<byte> path = _path.AsSpan(0, length);
        if (length == 0 || path.EndsWith(" (deleted)"u8))
        {
            return null;
        }

        DirectoryFact fact = DirectoryFact.Outside;
        foreach (DataRoot root in _roots)
        {
            if (root.Contains(path, out ReadOnlySpan<byte> relative))
            {
                fact = new DirectoryFact(root.Engine, relative.ToArray(), FileInterest.Judge(relative));
                break;
            }
        }

        _directories.Set(key, fact);
        return fact;
    }

    private DataRoot? RootOf(int engine) => Array.Find(_roots, root => root.Engine == engine);

    private static ReadOnlySpan<byte> KeyOf(FanotifyHandle handle, Span<byte> buffer)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(buffer, handle.FileSystemId);
        BinaryPrimitives.WriteInt32LittleEndian(buffer[8..], handle.Type);
        ReadOnlySpan<byte> bytes = handle.Bytes[..Math.Min(handle.Bytes.Length, MaxKeySize - 12)];
        bytes.CopyTo(buffer[12..]);
        return buffer[..(12 + bytes.Length)];
    }

    private static byte[] Join(ReadOnlySpan<byte> directory, ReadOnlySpan<byte> name)
        => directory.IsEmpty ? name.ToArray() : [.. directory, (byte)'/', .. name];
}
