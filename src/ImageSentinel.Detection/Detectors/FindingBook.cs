using System.Globalization;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Detectors;

/// <summary>Opens one finding per build and detector, and tells when it changed.</summary>
internal sealed class FindingBook(CoreState state)
{
    private const long HostEpisode = 5 * 60 * Stamp.Second;

    private readonly HashSet<Finding> _changed = [];
    private readonly Dictionary<string, Finding> _host = new(StringComparer.Ordinal);

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

    /// <summary>A finding about the host itself; one per subject and episode of <see cref="HostEpisode"/>.</summary>
    public Finding OfHost(DetectorDefinition detector, string subject, Stamp at, Build? build = null)
    {
        string key = $"{detector.Id}|{subject}";
        if (!_host.TryGetValue(key, out Finding? finding) || at.Since(finding.Last) > HostEpisode)
        {
            finding = new Finding(state.MakeId("f", key, at.Boot.ToString(CultureInfo.InvariantCulture)), detector, build, at);
            build?.Add(finding);
            _host[key] = finding;
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
