namespace ImageSentinel.Sensors.Audit;

/// <summary>How audit records reach us.</summary>
public enum AuditReading
{
    /// <summary>Join the multicast group and own nothing. Lives beside any audit daemon and never slows the host.</summary>
    Multicast,

    /// <summary>Be the host's audit daemon while nobody else is. Keeps the kernel from printing records to its log.</summary>
    Owner,
}

/// <summary>What the audit sensor may do on this host.</summary>
public sealed class AuditSensorOptions
{
    /// <summary>How to read while the role is free; with another audit daemon at work it is always multicast. Both were
    /// measured, see docs/audit-role.md.</summary>
    public AuditReading Reading { get; set; } = AuditReading.Owner;

    /// <summary>The kernel's backlog is raised to this many records if it is smaller, and put back at exit.</summary>
    public uint BacklogLimit { get; set; } = 8192;

    /// <summary>Longest time, in jiffies, for which the kernel may hold a process whose record finds the backlog full, while
    /// no other audit daemon is there to want more. Put back at exit.</summary>
    public uint BacklogWaitTime { get; set; }

    /// <summary>How often our rules are looked at; what the kernel lost and whether audit is on, eight times as often.</summary>
    public TimeSpan PollInterval { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Receive buffer of the reading socket, bytes; about 1.2 seconds of the kernel's fastest.</summary>
    public int ReceiveBuffer { get; set; } = 64 * 1024 * 1024;
}
