using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Builds;

/// <summary>What is to be thought of a build, from its findings and from what could not be seen.</summary>
internal static class Verdicts
{
    public static void Apply(BuildRegistry builds, CoreState state)
    {
        foreach (Build build in builds.Active)
        {
            Set(build, state);
        }

        for (int i = builds.Recent.Count - 1; i >= 0 && i >= builds.Recent.Count - 32; i--)
        {
            Set(builds.Recent[i], state);
        }
    }

    private static void Set(Build build, CoreState state)
    {
        // What becomes of the sensors after a build has ended changes nothing about it.
        build.Blind |= build.Active && !Sees(state);
        Severity worst = Severity.None;
        foreach (Finding finding in build.Findings)
        {
            if (!ReferenceEquals(finding.Detector, DetectorDefinition.CoverageGap) && finding.Severity > worst)
            {
                worst = finding.Severity;
            }
        }

        Verdict verdict = worst == Severity.Critical ? Verdict.Malicious
            : worst >= Severity.Low ? Verdict.Suspicious
            : build.Lost != 0 || build.Blind ? Verdict.Unknown
            : build.Active ? Verdict.None
            : Verdict.Clean;
        if (verdict != build.Verdict)
        {
            build.Verdict = verdict;
            build.Dirty = true;
        }
    }

    // Without these two nobody can say that a step stayed at home.
    private static bool Sees(CoreState state) => IsActive(state, "audit") && IsActive(state, "processes");

    private static bool IsActive(CoreState state, string sensor)
        => state.Sensors.TryGetValue(sensor, out SensorFact? fact) && fact.Health == "active";
}
