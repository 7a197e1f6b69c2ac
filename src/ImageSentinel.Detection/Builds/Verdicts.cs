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
        Severity deployed = Severity.None;
        foreach (Finding finding in build.Findings)
        {
            if (ReferenceEquals(finding.Detector, DetectorDefinition.TaintedImageDeployed))
            {
                deployed = finding.Severity > deployed ? finding.Severity : deployed;
            }
            else if (!ReferenceEquals(finding.Detector, DetectorDefinition.CoverageGap) && finding.Severity > worst)
            {
                worst = finding.Severity;
            }
        }

        // That an image is run makes a bad build worse, and an unknown one no less unknown.
        worst = worst >= Severity.Low && deployed > worst ? deployed : worst;
        Verdict verdict = worst == Severity.Critical ? Verdict.Malicious
            : worst >= Severity.Low ? Verdict.Suspicious
            : Comes(build, Verdict.Malicious) || Comes(build, Verdict.Suspicious) ? Verdict.Suspicious
            : build.Lost != 0 || build.Blind || Comes(build, Verdict.Unknown) ? Verdict.Unknown
            : build.Active ? Verdict.None
            : Verdict.Clean;
        if (verdict != build.Verdict)
        {
            build.Verdict = verdict;
            build.Dirty = true;
        }
    }

    // What an image is made of is part of what it is: a step that did not run today ran once.
    private static bool Comes(Build build, Verdict verdict) => build.Origins.Any(o => o.Verdict == verdict);

    // Without these two nobody can say that a step stayed at home.
    private static bool Sees(CoreState state) => IsActive(state, "audit") && IsActive(state, "processes");

    private static bool IsActive(CoreState state, string sensor)
        => state.Sensors.TryGetValue(sensor, out SensorFact? fact) && fact.Health == "active";
}
