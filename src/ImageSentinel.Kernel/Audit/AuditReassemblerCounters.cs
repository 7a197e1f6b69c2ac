namespace ImageSentinel.Kernel.Audit;

/// <summary>Where records and serials went.</summary>
/// <remarks>
/// Always: <c>Records = Kept + EndRecords + Late + Duplicates + Contradictory + Cut</c>, and
/// <c>Opened = Taken + Dropped + those open or waiting</c>.
/// </remarks>
public struct AuditReassemblerCounters : IEquatable<AuditReassemblerCounters>
{
    /// <summary>Records given to the reassembler.</summary>
    public long Records { get; internal set; }

    /// <summary>Records that became part of an event.</summary>
    public long Kept { get; internal set; }

    /// <summary>End records (EOE) that closed an event or were an event's only record.</summary>
    public long EndRecords { get; internal set; }

    /// <summary>Records of an event that had been handed out already, or of a serial too old to be remembered.</summary>
    public long Late { get; internal set; }

    /// <summary>Records that an event can hold only once and that had come before.</summary>
    public long Duplicates { get; internal set; }

    /// <summary>Records with the serial of an open event but another timestamp.</summary>
    public long Contradictory { get; internal set; }

    /// <summary>Records left out because their event outgrew its bounds.</summary>
    public long Cut { get; internal set; }

    public long Opened { get; internal set; }

    public long Taken { get; internal set; }

    /// <summary>Events thrown away because nobody took them.</summary>
    public long Dropped { get; internal set; }

    /// <summary>Events handed out because no end record came in time.</summary>
    public long Aged { get; internal set; }

    /// <summary>Events handed out early because room was needed.</summary>
    public long Evicted { get; internal set; }

    /// <summary>Events with an end record but without the SYSCALL or URINGOP they begin with. Also counted as lost.</summary>
    public long Headless { get; internal set; }

    /// <summary>Events the kernel or the socket lost: serials that never came, and headless ones.</summary>
    public long Lost { get; internal set; }

    /// <summary>Events that came after their serial had been counted as lost.</summary>
    public long Recovered { get; internal set; }

    /// <summary>Times the serials began anew, as after a reboot in the middle of a recording.</summary>
    public long Restarts { get; internal set; }

    public static bool operator ==(AuditReassemblerCounters left, AuditReassemblerCounters right) => left.Equals(right);

    public static bool operator !=(AuditReassemblerCounters left, AuditReassemblerCounters right) => !left.Equals(right);

    public readonly bool Equals(AuditReassemblerCounters other)
        => Records == other.Records && Kept == other.Kept && EndRecords == other.EndRecords && Late == other.Late
            && Duplicates == other.Duplicates && Contradictory == other.Contradictory && Cut == other.Cut
            && Opened == other.Opened && Taken == other.Taken && Dropped == other.Dropped && Aged == other.Aged
            && Evicted == other.Evicted && Headless == other.Headless && Lost == other.Lost && Recovered == other.Recovered && Restarts == other.Restarts;

    public override readonly bool Equals(object? obj) => obj is AuditReassemblerCounters other && Equals(other);

    public override readonly int GetHashCode() => HashCode.Combine(Records, Kept, Late, Lost);
}

/// <summary>Serials that never came, in one block or several.</summary>
/// <param name="FirstSerial">The first missing serial.</param>
/// <param name="LastSerial">The last missing serial; others between the two may have come.</param>
/// <param name="Count">How many are missing: that many events, each of one or more records.</param>
public readonly record struct AuditLoss(uint FirstSerial, uint LastSerial, long Count);
