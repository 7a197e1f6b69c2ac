using System.Globalization;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Builds;

/// <summary>What was lost belongs to every build that ran at that moment: none of them can be called clean.</summary>
internal sealed class LossTracker(CoreState state, BuildRegistry builds, FindingBook book)
{
    private const long Aftermath = 15 * Stamp.Second;

    private readonly Dictionary<string, long> _losses = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _health = new(StringComparer.Ordinal);

    public void On(in LossNoticed e)
    {
        foreach (Build build in Concerned(e.At))
        {
            build.AddLoss(e.Count);
            string count = e.Count < 0 ? "an unknown number of" : e.Count.ToString(CultureInfo.InvariantCulture);
            Tell(build, $"{count} {e.Sensor} records were lost ({e.Cause})", e.At);
        }
    }

    // A loss is noticed after it happened: when the next record shows the gap, and later still when the host is busy. A
    // build that ended in between was not seen whole either.
    private List<Build> Concerned(Stamp at)
        => [.. builds.Active.Concat(builds.Recent.Where(b => b.Ended is { } ended && at.Since(ended) < Aftermath))];

    /// <summary>A sensor that stops seeing while builds run is a loss of unknown size.</summary>
    public void OnSensor(SensorFact sensor, Stamp at)
    {
        long lost = sensor.Dropped + sensor.Overflows + sensor.LostInKernel;
        if (lost > _losses.GetValueOrDefault(sensor.Sensor) && sensor.Sensor is "audit" or "processes")
        {
            // How many will be told by the gap in the numbers; that something is missing is certain now.
            foreach (Build build in Concerned(at))
            {
                build.Blind = true;
                build.Dirty = true;
            }
        }

        _losses[sensor.Sensor] = lost;
        string before = _health.GetValueOrDefault(sensor.Sensor, "");
        _health[sensor.Sensor] = sensor.Health;
        if (before != "active" || sensor.Health == "active" || state.Ready is null || sensor.Sensor is "history" or "baseline")
        {
            return;
        }

        foreach (Build build in builds.Active)
        {
            build.AddLoss(-1);
            Tell(build, $"the {sensor.Sensor} sensor became {sensor.Health}: {sensor.Reason}", at);
        }
    }

    /// <summary>Somebody took away what a sensor stands on: told at once, build or not.</summary>
    public void OnTamper(TamperFact tamper, Stamp at)
    {
        Finding finding = book.OfHost(DetectorDefinition.SensorTampered, tamper.Sensor, at);
        finding.Severity = Severity.High;
        finding.Message = $"{tamper.Sensor}: {tamper.Detail}";
        finding.Add(new Evidence(at, tamper.Detail));
        book.Changed(finding, at);
        foreach (Build build in builds.Active)
        {
            build.AddLoss(-1);
            Tell(build, $"{tamper.Sensor} was interfered with: {tamper.Detail}", at);
        }
    }

    private void Tell(Build build, string what, Stamp at)
    {
        Finding finding = book.Of(build, DetectorDefinition.CoverageGap, at);
        finding.Severity = Severity.Medium;
        finding.Message = $"While the build {build.Id} ran, {what}. What it did in that time is not known; it is not called clean.";
        finding.Add(new Evidence(at, what));
        book.Changed(finding, at);
        build.Dirty = true;
        if (build.Active)
        {
            BuildRegistry.Touch(build, at);
        }
    }
}
