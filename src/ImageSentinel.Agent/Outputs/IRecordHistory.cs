using ImageSentinel.V1;

namespace ImageSentinel.Agent.Outputs;

/// <summary>An output that remembers what earlier runs gave it; <c>explain</c> then works across a restart.</summary>
public interface IRecordHistory
{
    /// <summary>Oldest first.</summary>
    IReadOnlyList<Build> RecentBuilds(int count);

    /// <summary>Oldest first.</summary>
    IReadOnlyList<Finding> RecentFindings(int count);
}
