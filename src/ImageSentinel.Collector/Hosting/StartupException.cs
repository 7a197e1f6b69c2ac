namespace ImageSentinel.Collector.Hosting;

/// <summary>The collector cannot start, for a reason that the operator can remove: one line and an exit code.</summary>
internal sealed class StartupException(int exitCode, string message, Exception? inner = null) : Exception(message, inner)
{
    public int ExitCode { get; } = exitCode;

    /// <summary>What every caller of the file system may meet, as one line that names the path.</summary>
    public static StartupException FromFile(string what, string path, Exception error) => error switch
    {
        UnauthorizedAccessException => new(ExitCodes.NoPermission, $"{what} {path}: permission denied", error),
        FileNotFoundException or DirectoryNotFoundException => new(ExitCodes.Configuration, $"{what} {path}: no such file", error),
        _ => new(ExitCodes.Failure, $"{what} {path}: {OneLine(error.Message)}", error),
    };

    public static string OneLine(string text) => text.ReplaceLineEndings(" ").Trim();
}
