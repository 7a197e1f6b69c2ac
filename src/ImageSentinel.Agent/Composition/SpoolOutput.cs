using ImageSentinel.Agent.Outputs;
using ImageSentinel.Agent.Uplink;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Composition;

/// <summary>The spool as the first of the outputs. Owns the spool.</summary>
internal sealed class SpoolOutput(FindingSpool spool) : IRecordOutput
{
    public string Name => "spool";

    public void Write(IReadOnlyList<OutputRecord> batch) => spool.Append(batch);

    public void Dispose() => spool.Dispose();
}
