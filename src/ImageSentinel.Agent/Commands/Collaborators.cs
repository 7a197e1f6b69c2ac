using System.Collections.Immutable;
using ImageSentinel.Agent.Options;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Commands;

/// <summary>Plays a capture through the production pipeline. Pure: same capture and policy, same records, no root.</summary>
public interface IReplayRunner
{
    /// <param name="capture">A capture file, from its beginning.</param>
    /// <param name="name">For messages.</param>
    /// <param name="options">Policy and baseline; nothing else of it is used.</param>
    /// <param name="emit">Called in order, on one thread.</param>
    /// <exception cref="CommandException">The capture is damaged or of a newer version; the message says where.</exception>
    Task<ReplaySummary> RunAsync(Stream capture, string name, AgentOptions options, Action<OutputRecord> emit, CancellationToken cancellation);
}

/// <param name="Items">Batches read.</param>
/// <param name="Span">From the capture's first moment to its last.</param>
/// <param name="Truncated">The capture ends in the middle; everything before was used.</param>
public sealed record ReplaySummary(long Items, TimeSpan Span, bool Truncated);

/// <summary>Writes what the sensors read into a file, until told to stop.</summary>
public interface IRecorder
{
    /// <exception cref="CommandException">No sensor can be opened, or the file cannot be written.</exception>
    Task<RecordSummary> RecordAsync(AgentOptions options, string path, CancellationToken cancellation);
}

public sealed record RecordSummary(long Items, long Bytes, long Lost);

/// <summary>The checks that <c>run</c> makes before it is ready, made for a person to read.</summary>
public interface IDoctor
{
    ImmutableArray<DoctorCheck> Examine(AgentOptions options);
}

public enum DoctorResult
{
    Ok,

    /// <summary>It runs, and sees less.</summary>
    Warning,

    /// <summary>It does not run, or sees nothing.</summary>
    Failure,
}

/// <param name="Subject">A few words: "audit netlink".</param>
/// <param name="Found">What is so, in one sentence.</param>
/// <param name="Remedy">The command or step that mends it; empty when nothing is to be mended.</param>
public sealed record DoctorCheck(string Subject, DoctorResult Result, string Found, string Remedy)
{
    /// <summary>The subject of the check for what the sensors need: failing it is exit 77, not 1.</summary>
    public const string Privileges = "privileges";
}
