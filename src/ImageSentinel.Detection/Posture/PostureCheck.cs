using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Posture;

public enum PostureResult
{
    /// <summary>As it should be.</summary>
    Ok = 0,

    Weak = 1,

    /// <summary>Could not be read.</summary>
    Unknown = 2,
}

/// <summary>One judged aspect of an engine's set-up.</summary>
/// <param name="Severity">None unless weak.</param>
/// <param name="Found">What is so, in one sentence; everything that others chose is escaped.</param>
/// <param name="Evidence">The facts it rests on, one line each.</param>
/// <param name="Fix">What to do; empty when nothing is to be done.</param>
/// <param name="Subject">What must change for the matter to be told again: who and where, without counts.</param>
public sealed record PostureCheck(
    DetectorDefinition Detector,
    PostureResult Result,
    Severity Severity,
    string Found,
    IReadOnlyList<string> Evidence,
    string Fix,
    string Subject);
