namespace ImageSentinel.Tests.Collector;

/// <summary>A clock that stands where the test puts it; timers are the system's.</summary>
internal sealed class SettableTime(DateTimeOffset now) : TimeProvider
{
    public DateTimeOffset Now { get; set; } = now;

    public override DateTimeOffset GetUtcNow() => Now;
}
