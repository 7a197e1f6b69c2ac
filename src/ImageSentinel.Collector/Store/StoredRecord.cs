using ImageSentinel.V1;

namespace ImageSentinel.Collector.Store;

/// <summary>An agent's stream after its greeting: the rows that what it sends belongs to.</summary>
internal sealed record SpoolIdentity(long HostKey, long SpoolKey, ulong Acked, HostInfo Host, string SpoolId);

/// <summary>A record that changed what the store shows, as live readers get it.</summary>
internal sealed record StoredRecord(string HostId, OutputRecord Record);

/// <summary>A host as the store knows it.</summary>
public sealed record HostState(
    HostInfo Host,
    DateTimeOffset FirstSeen,
    DateTimeOffset LastSeen,
    Coverage? Coverage,
    string? Certificate,
    ulong GivenUp,
    long UnknownRecords);
