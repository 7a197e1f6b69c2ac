namespace ImageSentinel.Agent.Outputs;

/// <summary>
/// The journal's MESSAGE_ID of each kind of entry. An id is API: alerts and the catalog
/// (<c>packaging/catalog/imagesentinel.catalog</c>) hang on it, so none is ever changed or used again.
/// </summary>
public static class JournalIds
{
    public const string Finding = "6c1f5a0d3b7e4a7fa4e2d7c9b0f81e01";
    public const string BuildEnded = "6c1f5a0d3b7e4a7fa4e2d7c9b0f81e02";

    public static string Of(NoticeKind kind) => kind switch
    {
        NoticeKind.SensorDegraded => "6c1f5a0d3b7e4a7fa4e2d7c9b0f81e03",
        NoticeKind.EventsLost => "6c1f5a0d3b7e4a7fa4e2d7c9b0f81e04",
        NoticeKind.CollectorLost => "6c1f5a0d3b7e4a7fa4e2d7c9b0f81e05",
        NoticeKind.CollectorRegained => "6c1f5a0d3b7e4a7fa4e2d7c9b0f81e06",
        NoticeKind.ConfigurationReloaded => "6c1f5a0d3b7e4a7fa4e2d7c9b0f81e07",
        NoticeKind.ConfigurationRefused => "6c1f5a0d3b7e4a7fa4e2d7c9b0f81e08",
        NoticeKind.SensorRecovered => "6c1f5a0d3b7e4a7fa4e2d7c9b0f81e09",
        NoticeKind.OutputFailed => "6c1f5a0d3b7e4a7fa4e2d7c9b0f81e0a",
        NoticeKind.OutputRecovered => "6c1f5a0d3b7e4a7fa4e2d7c9b0f81e0b",
        NoticeKind.Ready => "6c1f5a0d3b7e4a7fa4e2d7c9b0f81e0c",
        NoticeKind.Stopping => "6c1f5a0d3b7e4a7fa4e2d7c9b0f81e0d",
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "a notice without a journal id"),
    };

    /// <summary>syslog(3) level of a notice.</summary>
    public static int PriorityOf(NoticeKind kind) => kind switch
    {
        NoticeKind.SensorDegraded or NoticeKind.EventsLost or NoticeKind.CollectorLost => 4,
        NoticeKind.ConfigurationRefused or NoticeKind.OutputFailed => 3,
        _ => 6,
    };
}
