using Google.Protobuf.WellKnownTypes;

namespace ImageSentinel.Collector.Store;

internal static class UnixMilliseconds
{
    // The years 1 to 9999, which DateTimeOffset can hold; a time outside was not made by a clock.
    private const long MinimumSeconds = -62135596800;
    private const long MaximumSeconds = 253402300799;

    /// <summary>The moment in Unix milliseconds, or <paramref name="otherwise"/> when absent or out of range.</summary>
    public static long Of(Timestamp? timestamp, long otherwise)
        => timestamp is { Seconds: >= MinimumSeconds and <= MaximumSeconds, Nanos: >= 0 and <= 999_999_999 }
            ? (timestamp.Seconds * 1000) + (timestamp.Nanos / 1_000_000)
            : otherwise;
}
