namespace ImageSentinel.Agent.Outputs;

/// <summary>What a <see cref="Notice"/> is about. Each kind has a fixed journal MESSAGE_ID and a catalog entry.</summary>
public enum NoticeKind
{
    /// <summary>Every sensor that can is reading; from now on builds are watched.</summary>
    Ready,
    SensorDegraded,
    SensorRecovered,
    EventsLost,
    CollectorLost,
    CollectorRegained,
    ConfigurationReloaded,
    ConfigurationRefused,
    OutputFailed,
    OutputRecovered,
    Stopping,
}

/// <summary>Something about the agent itself that an operator should read. One plain sentence, already safe to print.</summary>
public sealed record Notice(NoticeKind Kind, string Message);
