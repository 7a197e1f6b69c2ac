using Google.Protobuf.WellKnownTypes;
using ImageSentinel.Detection;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>Sensor states as the stream told them, in the form every finding, build and heartbeat carries.</summary>
internal sealed class CoverageTable(CoreState state)
{
    /// <summary>The host's coverage now, without host and baseline.</summary>
    public V1.Coverage Snapshot(Stamp at) => Of(state.Sensors.Values, at);

    private static V1.Coverage Of(IEnumerable<SensorFact> sensors, Stamp at)
    {
        var message = new V1.Coverage { Time = Timestamp.FromDateTimeOffset(at.Time) };
        foreach (SensorFact sensor in sensors.OrderBy(static s => s.Sensor, StringComparer.Ordinal))
        {
            message.Sensors.Add(Map(sensor));
            message.LostEvents += (ulong)Math.Max(0, sensor.LostInKernel + sensor.Dropped + sensor.Overflows);
        }

        return message;
    }

    /// <summary>What could and could not be seen while a build ran.</summary>
    public V1.Coverage Of(Build build)
    {
        V1.Coverage message = Of(build.SensorsAtEnd ?? state.Sensors.Values, build.Ended ?? build.LastSeen);
        message.LostEvents = build.Lost < 0 ? 1 : (ulong)build.Lost;
        if (build.Lost < 0)
        {
            message.Notes.Add("something was lost while this build ran, and nobody knows how much");
        }

        return message;
    }

    private static V1.SensorCoverage Map(SensorFact sensor) => new()
    {
        Sensor = sensor.Sensor,
        State = sensor.Health switch
        {
            "active" => V1.SensorState.Active,
            "degraded" => V1.SensorState.Degraded,
            _ => V1.SensorState.Off,
        },
        Reason = sensor.Reason,
        Received = (ulong)Math.Max(0, sensor.Received),
        LostInKernel = (ulong)Math.Max(0, sensor.LostInKernel),
        Dropped = (ulong)Math.Max(0, sensor.Dropped),
    };
}
