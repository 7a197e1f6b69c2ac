namespace ImageSentinel.Sensors.Reading;

/// <summary>What a sensor has to say besides records.</summary>
public enum SensorNoticeKind
{
    /// <summary>The sensor's status changed; read it from the sensor.</summary>
    StatusChanged,

    /// <summary>Somebody took away what the sensor stands on: rules removed, audit switched off, limits changed.</summary>
    Tampered,

    /// <summary>The kernel's own counter of discarded records rose.</summary>
    KernelLost,
}

/// <summary>A sensor's word to the agent, raised on the sensor's own threads. Goes into the stream as sensor state.</summary>
/// <param name="Sensor">The sensor's name.</param>
/// <param name="Kind">What kind of word.</param>
/// <param name="Detail">One line for a person; fixed text and numbers only, nothing that a process chose.</param>
/// <param name="Records">For <see cref="SensorNoticeKind.KernelLost"/>: how many since the last notice.</param>
public sealed record SensorNotice(string Sensor, SensorNoticeKind Kind, string Detail, long Records = 0);
