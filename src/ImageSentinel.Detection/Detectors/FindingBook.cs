using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Detectors;

/// <summary>Opens one finding per build and detector, and tells when it changed.</summary>
internal sealed class FindingBook(CoreState state)
{
    private readonly HashSet<Finding> _changed = [];

    /// <summary>The build's finding of a detector; made when it is the first.</summary>
    public Finding Of(Build build, DetectorDefinition detector, Stamp at)
    {
        Finding? finding = build.Findings.FirstOrDefault(f => ReferenceEquals(f.Detector, detector));
        if (finding is null)
        {
            finding = new Finding(state.MakeId("f", build.Id, detector.Id), detector, build, at);
            build.Add(finding);
        }

        return finding;
    }

    public void Changed(Finding finding, Stamp at)
    {
        finding.Last = at;
        _ = _changed.Add(finding);
    }

    /// <summary>Hands changed findings out, each once, whatever number of events changed it.</summary>
    public void Flush(Stamp at)
    {
        foreach (Finding finding in _changed)
        {
            state.Output.FindingChanged(finding, at);
            finding.Activity = FindingActivity.Update;
        }

        _changed.Clear();
    }
}
