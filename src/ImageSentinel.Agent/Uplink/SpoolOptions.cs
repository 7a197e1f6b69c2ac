namespace ImageSentinel.Agent.Uplink;

internal sealed record SpoolOptions
{
    /// <summary>The state directory; the spool is <c>spool.db</c> in it.</summary>
    public required string Directory { get; init; }

    /// <summary>False when no collector is configured: then only the history is kept.</summary>
    public bool Forward { get; init; } = true;

    /// <summary>Bytes of unacknowledged records on disk. Above it the oldest of the least severe are given up.</summary>
    public long SizeLimit { get; init; } = 256L << 20;

    /// <summary>Bytes of records held in memory while the disk does not take them.</summary>
    public long MemoryLimit { get; init; } = 16L << 20;

    /// <summary>Builds and findings, each, that <c>builds</c>, <c>findings</c> and <c>explain</c> can still show after a restart.</summary>
    public int HistoryCount { get; init; } = 1000;

    /// <summary>Bytes of that history.</summary>
    public long HistoryBytes { get; init; } = 64L << 20;

    /// <summary>How long to wait before the disk is tried again.</summary>
    public TimeSpan RetryEvery { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>For tests: SQLite's own limit of the file, in pages of 4 KiB; 0 sets none.</summary>
    internal int MaximumPages { get; init; }
}

/// <summary>The spool cannot be used at all: the message is one line for the operator.</summary>
internal sealed class SpoolException(string message, bool permission, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>True when the cause is a missing permission (exit 77).</summary>
    public bool Permission { get; } = permission;
}
