using ImageSentinel.Kernel.Numbers;

namespace ImageSentinel.Kernel.Fanotify;

/// <summary>One fanotify event with its information records, still in the read buffer.</summary>
/// <remarks>
/// <para><see cref="Descriptor"/> and <see cref="PidDescriptor"/> are open descriptors of this process when they are
/// not negative. Whoever reads the event owns them and closes them, also when the event is malformed or dropped.</para>
/// <para>Identical objects' events merge while they wait: a mask may hold create and delete at once, and the order
/// inside a mask is lost. <see cref="ProcessId"/> alone may have been reused; only a pid descriptor is sure.</para>
/// </remarks>
public ref struct FanotifyEvent
{
    /// <summary><c>FAN_*</c> bits.</summary>
    public ulong Mask { get; internal set; }

    /// <summary>Descriptor of the object in groups that report by descriptor, else -1.</summary>
    public int Descriptor { get; internal set; }

    /// <summary>The process, or with FAN_REPORT_TID the thread, that did it; 0 when unknown.</summary>
    public int ProcessId { get; internal set; }

    /// <summary>Pid descriptor; -1 when the process was gone when the event was read, -2 when none could be made.</summary>
    public int PidDescriptor { get; internal set; }

    /// <summary>The kernel's queue ran over: events are missing here, how many is not known. Nothing else is set.</summary>
    public readonly bool IsOverflow => (Mask & FanotifyConstants.FAN_Q_OVERFLOW) != 0;

    public readonly bool IsDirectory => (Mask & FanotifyConstants.FAN_ONDIR) != 0;

    /// <summary>True when an information record contradicted the event's length; what came before it is set.</summary>
    public bool IsMalformed { get; internal set; }

    /// <summary>The object itself.</summary>
    public FanotifyHandle Object { get; internal set; }

    /// <summary>The directory in which <see cref="Name"/> stands.</summary>
    public FanotifyHandle Directory { get; internal set; }

    /// <summary>The entry's name, without its NUL; "." for the directory itself.</summary>
    public ReadOnlySpan<byte> Name { get; internal set; }

    /// <summary>Of a rename: where the entry was.</summary>
    public FanotifyHandle OldDirectory { get; internal set; }

    public ReadOnlySpan<byte> OldName { get; internal set; }

    /// <summary>Of a rename: where the entry is now.</summary>
    public FanotifyHandle NewDirectory { get; internal set; }

    public ReadOnlySpan<byte> NewName { get; internal set; }

    /// <summary>Unique 64-bit id of the mount that was attached or detached; zero when the event is not about one.</summary>
    public ulong MountId { get; internal set; }

    /// <summary>Errno of a file system error event.</summary>
    public int Error { get; internal set; }

    /// <summary>Errors suppressed since the last one that was reported.</summary>
    public uint ErrorCount { get; internal set; }
}
