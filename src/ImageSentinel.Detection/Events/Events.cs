using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Events;

// Domain events are ref structs over the record they came from: nothing is allocated for an event that nobody keeps.

/// <summary>A process was born. The child's pid is a thread group id; thread creation is not reported.</summary>
public readonly ref struct ProcessForked(Stamp at, int parentPid, int pid)
{
    public Stamp At { get; } = at;

    public int ParentPid { get; } = parentPid;

    public int Pid { get; } = pid;
}

/// <summary>A process replaced its program, and the call succeeded.</summary>
public readonly ref struct ProcessExecuted
{
    /// <summary>When the record was read.</summary>
    public required Stamp At { get; init; }

    /// <summary>Wall clock when the call began, tick granularity (4 ms).</summary>
    public required long CallWall { get; init; }

    public required int Pid { get; init; }

    public required int ParentPid { get; init; }

    public uint Uid { get; init; }

    public uint Gid { get; init; }

    public uint LoginUid { get; init; }

    public uint Session { get; init; }

    /// <summary>Path as the process sees it.</summary>
    public ReadOnlySpan<byte> Exe { get; init; }

    /// <summary>Arguments, each ended by NUL; cut at the normalizer's bound.</summary>
    public ReadOnlySpan<byte> Arguments { get; init; }

    public ReadOnlySpan<byte> Cwd { get; init; }
}

/// <summary>A process ended. <see cref="Status"/> is as wait(2) gives it: exit code in bits 8 to 15, signal in 0 to 6.</summary>
public readonly ref struct ProcessExited(Stamp at, int pid, int status)
{
    public Stamp At { get; } = at;

    public int Pid { get; } = pid;

    public int Status { get; } = status;
}

/// <summary>Who made a call, as the audit record of that call says: it needs no look-up and cannot be outrun.</summary>
public readonly ref struct Caller
{
    public required int Pid { get; init; }

    public required int ParentPid { get; init; }

    public uint Uid { get; init; }

    public uint Gid { get; init; }

    public uint LoginUid { get; init; }

    public uint Session { get; init; }

    public ReadOnlySpan<byte> Exe { get; init; }

    public ReadOnlySpan<byte> Comm { get; init; }
}

/// <summary>A process tried to reach another host. Failed and unfinished attempts are attempts.</summary>
public readonly ref struct EgressAttempted
{
    /// <summary>When the record was read.</summary>
    public required Stamp At { get; init; }

    /// <summary>Wall clock when the call began, tick granularity (4 ms).</summary>
    public required long CallWall { get; init; }

    public required Caller Caller { get; init; }

    public required Destination Destination { get; init; }

    public required EgressPath Path { get; init; }

    public required EgressOutcome Outcome { get; init; }

    /// <summary>errno of a failed call; 0 otherwise.</summary>
    public int Errno { get; init; }

    /// <summary>True when only the address of a datagram socket was set: no packet left by this call.</summary>
    public bool AddressOnly { get; init; }
}

/// <summary>A process connected to an engine's API socket.</summary>
public readonly ref struct EngineConnected
{
    public required Stamp At { get; init; }

    public required long CallWall { get; init; }

    public required Caller Caller { get; init; }

    /// <summary>Inode of the socket file; ties the connect to the engine under any path and in any namespace.</summary>
    public required ulong SocketInode { get; init; }
}

/// <summary>An engine accepted a connection.</summary>
public readonly ref struct EngineAccepted
{
    public required Stamp At { get; init; }

    public required int DaemonPid { get; init; }

    public required int Descriptor { get; init; }

    /// <summary>False for a Unix socket: the record of an accepted Unix connection names no peer.</summary>
    public required bool Remote { get; init; }

    public NetAddress Address { get; init; }

    public ushort Port { get; init; }
}

/// <summary>A flow that connection tracking saw begin, answer or end.</summary>
public readonly ref struct FlowSeen
{
    public required Stamp At { get; init; }

    public required bool Ended { get; init; }

    /// <summary>What the other side made of a TCP connect: Established or Refused; None where this event does not say.</summary>
    public EgressOutcome Answer { get; init; }

    public required NetAddress Source { get; init; }

    public required ushort SourcePort { get; init; }

    public required Destination Destination { get; init; }

    /// <summary>One side began to close the connection, or reset it.</summary>
    public bool Closing { get; init; }

    /// <summary>The kernel counted; without nf_conntrack_acct it does not, and 0 means unknown.</summary>
    public bool HasBytes { get; init; }

    public ulong BytesSent { get; init; }

    public ulong BytesReceived { get; init; }
}

/// <summary>What happened to a file under an engine's data root.</summary>
[Flags]
public enum FileChange
{
    None = 0,
    Created = 1,
    Modified = 2,
    Written = 4,
    MovedIn = 8,
    MovedOut = 16,
    Deleted = 32,
    Executed = 64,
    Directory = 128,
}

/// <summary>A file under an engine's data root changed.</summary>
public readonly ref struct EngineFileChanged
{
    public required Stamp At { get; init; }

    public required int Engine { get; init; }

    public required FileChange Change { get; init; }

    public required int Pid { get; init; }

    /// <summary>Relative to the data root, no leading slash.</summary>
    public required ReadOnlySpan<byte> Path { get; init; }
}

/// <summary>Records are missing from the stream in front of this moment.</summary>
public readonly ref struct LossNoticed
{
    public required Stamp At { get; init; }

    /// <summary>"audit", "processes", "fanotify", "conntrack", "names".</summary>
    public required string Sensor { get; init; }

    /// <summary>How many; -1 when the kernel did not say.</summary>
    public required long Count { get; init; }

    public required string Cause { get; init; }
}

/// <summary>The core's one entrance. Calls come from one thread, in stream order.</summary>
public interface IDomainEvents
{
    void On(in ProcessForked e);

    void On(in ProcessExecuted e);

    void On(in ProcessExited e);

    void On(in EgressAttempted e);

    void On(in EngineConnected e);

    void On(in EngineAccepted e);

    void On(in FlowSeen e);

    void On(in EngineFileChanged e);

    void On(in LossNoticed e);

    void On(in NameAsked e);

    void On(in NameResolved e);

    void On(in ServerNameSeen e);

    void On(in ApiRequestSeen e);

    void OnFact(Stamp at, Fact fact);

    /// <summary>Time passed. At least every 250 ms; drives every timer.</summary>
    void OnTick(Stamp at);
}
