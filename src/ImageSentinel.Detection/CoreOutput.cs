using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection;

/// <summary>Where the core's results go. Called on the core's thread; an implementation copies what it keeps.</summary>
public interface ICoreOutput
{
    void BuildChanged(Build build, Stamp at);

    void FindingChanged(Finding finding, Stamp at);

    /// <summary>Asks the edge to read something; the answer is a <see cref="Fact"/> in the stream, or never comes.</summary>
    void Ask(Lookup lookup);
}
