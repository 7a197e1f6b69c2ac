using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Model;
using ImageSentinel.Sensors.Fanotify;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Sensors.Normalize;

/// <summary>Resolved file events → domain events.</summary>
public sealed class FileNormalizer(IDomainEvents core)
{
    public long Malformed { get; private set; }

    public void Normalize(in SensorItem item)
    {
        var at = new Stamp(item.BootNanoseconds, item.WallNanoseconds);
        var reader = new FileEventReader(item.Span);
        while (reader.TryRead(out FileEvent e))
        {
            core.On(new EngineFileChanged
            {
                At = at,
                Engine = e.Engine,
                Change = ChangeOf(e.Mask),
                Pid = e.Pid,
                Path = e.Path,
            });
        }

        Malformed += reader.IsMalformed ? 1 : 0;
    }

    private static FileChange ChangeOf(ulong mask)
        => When(mask, FileEventMask.Create, FileChange.Created)
        | When(mask, FileEventMask.Modify, FileChange.Modified)
        | When(mask, FileEventMask.CloseWrite, FileChange.Written)
        | When(mask, FileEventMask.MovedTo, FileChange.MovedIn)
        | When(mask, FileEventMask.MovedFrom, FileChange.MovedOut)
        | When(mask, FileEventMask.Delete, FileChange.Deleted)
        | When(mask, FileEventMask.OpenExec, FileChange.Executed)
        | When(mask, FileEventMask.OnDirectory, FileChange.Directory)
        | When(mask, FileEventMask.Found, FileChange.Modified | FileChange.Written);

    private static FileChange When(ulong mask, ulong bit, FileChange change) => (mask & bit) != 0 ? change : FileChange.None;
}
