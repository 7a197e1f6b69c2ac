using ImageSentinel.Detection;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>Takes what the core says, on the core's thread, and hands finished messages and questions on.</summary>
internal sealed class CoreOutputs(Action<V1.OutputRecord> emit, Action<Lookup> ask) : ICoreOutput
{
    /// <summary>Set once the core exists; the mapper reads the core's state.</summary>
    public ProtoMapper? Mapper { get; set; }

    public void BuildChanged(Build build, Stamp at) => emit(Mapper!.Build(build));

    public void FindingChanged(Finding finding, Stamp at) => emit(Mapper!.Finding(finding, at));

    public void Ask(Lookup lookup) => ask(lookup);
}
