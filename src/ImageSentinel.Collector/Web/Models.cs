using ImageSentinel.Collector.Store;
using ImageSentinel.V1;

namespace ImageSentinel.Collector.Web;

// Public because the generated pages are: Razor's compiler makes its classes public, and a public class cannot have
// a model that is less.

/// <summary>What every page has around it.</summary>
public sealed record FrameModel(string Title, DateTimeOffset Now);

/// <summary>The start page.</summary>
public sealed record IndexModel(
    IReadOnlyList<Build> Builds,
    IReadOnlyList<Finding> Findings,
    IReadOnlyDictionary<string, int> FindingCounts,
    IReadOnlyList<HostState> Hosts,
    string Host,
    string Severity,
    string Verdict,
    string? StoreFailure,
    long Removed,
    TimeSpan SilentAfter,
    DateTimeOffset Now)
{
    public static IReadOnlyList<string> Severities { get; } = ["informational", "low", "medium", "high", "critical"];

    public static IReadOnlyList<string> Verdicts { get; } = ["all", "clean", "unknown", "suspicious", "malicious"];

    public bool IsSilent(HostState host)
    {
        ArgumentNullException.ThrowIfNull(host);
        return Now - host.LastSeen > SilentAfter;
    }

    /// <summary>True when the agent that would have to report this build's end does not speak.</summary>
    public bool IsSilent(Build build)
        => Hosts.FirstOrDefault(host => host.Host.HostId == build.Host?.HostId) is { } host && IsSilent(host);

    public int FindingCount(Build build)
    {
        ArgumentNullException.ThrowIfNull(build);
        return FindingCounts.TryGetValue(build.Id, out int count) ? count : 0;
    }
}

public sealed record BuildModel(Build Build, IReadOnlyList<Finding> Findings, bool Silent, DateTimeOffset Now);

public sealed record FindingModel(Finding Finding, Build? Build, IReadOnlyList<Finding> Activities, IReadOnlyList<Finding> Related, DateTimeOffset Now);

/// <param name="StepId">The step to point at; null for none.</param>
public sealed record BuildStoryModel(Build Build, string? StepId);

public sealed record CoverageModel(Coverage? Coverage, IReadOnlyList<string>? Notes);
