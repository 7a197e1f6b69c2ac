using ImageSentinel.Agent.Outputs;
using ImageSentinel.Agent.Uplink;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Composition;

/// <summary>The spool as the first of the outputs. Owns the spool.</summary>
internal sealed class SpoolOutput(FindingSpool spool) : IRecordOutput, IRecordHistory
{
    public string Name => "spool";

    public void Write(IReadOnlyList<OutputRecord> batch) => spool.Append(batch);

    public IReadOnlyList<Build> RecentBuilds(int count) => spool.RecentBuilds(count);

    public IReadOnlyList<Finding> RecentFindings(int count) => spool.RecentFindings(count);

    public void Dispose() => spool.Dispose();
}
