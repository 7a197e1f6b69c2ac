using ImageSentinel.Detection.Model;

namespace ImageSentinel.Sensors.Normalize;

/// <summary>errno(3) numbers of failed attempts, x86 and arm64 alike (asm-generic/errno.h).</summary>
internal static class Errno
{
    public const int EINTR = 4;
    public const int EAGAIN = 11;
    public const int ENETUNREACH = 101;
    public const int EHOSTUNREACH = 113;
    public const int ETIMEDOUT = 110;
    public const int ECONNREFUSED = 111;
    public const int EALREADY = 114;
    public const int EINPROGRESS = 115;
    public const int EISCONN = 106;
    public const int ERESTARTSYS = 512;
}

/// <summary>What a call's result says of an attempt.</summary>
internal static class Outcome
{
    /// <param name="exit">Return value; negative errno on failure.</param>
    /// <param name="connecting">True for a stream's connect, where success means an established connection.</param>
    public static EgressOutcome Of(long exit, bool connecting) => exit switch
    {
        >= 0 => connecting ? EgressOutcome.Established : EgressOutcome.Sent,
        -Errno.EISCONN => EgressOutcome.Established,
        -Errno.EINPROGRESS or -Errno.EALREADY or -Errno.EAGAIN => EgressOutcome.InProgress,
        -Errno.ECONNREFUSED => EgressOutcome.Refused,
        -Errno.ENETUNREACH or -Errno.EHOSTUNREACH => EgressOutcome.Unreachable,
        -Errno.ETIMEDOUT => EgressOutcome.TimedOut,
        -Errno.EINTR or -Errno.ERESTARTSYS => EgressOutcome.Interrupted,
        _ => EgressOutcome.Failed,
    };
}
