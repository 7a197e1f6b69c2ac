namespace ImageSentinel.Collector.Hosting;

/// <summary>The exit codes of both programs, after sysexits.h where that has a word for it.</summary>
internal static class ExitCodes
{
    public const int Success = 0;
    public const int Failure = 1;

    /// <summary>EX_USAGE: an unknown option, or a value that cannot be read.</summary>
    public const int Usage = 64;

    /// <summary>EX_UNAVAILABLE: something this program needs is held by another: a port, the state directory.</summary>
    public const int Unavailable = 69;

    /// <summary>EX_NOPERM: the state directory, a key or a port is not ours to use.</summary>
    public const int NoPermission = 77;

    /// <summary>EX_CONFIG: each value can be read, but together they cannot be used.</summary>
    public const int Configuration = 78;
}
