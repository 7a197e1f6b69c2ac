namespace ImageSentinel.Agent.Commands;

/// <summary>How the program ends. Scripts and the systemd unit rely on the numbers.</summary>
public enum ExitCode
{
    Success = 0,
    Failure = 1,

    /// <summary><c>--fail-on</c> was reached.</summary>
    FindingsReached = 10,

    Usage = 64,

    /// <summary>The agent, or the collector, does not answer.</summary>
    Unavailable = 69,

    MissingPrivilege = 77,

    Configuration = 78,
}

/// <summary>A command cannot go on. The message is what the user reads, already printable; no stack trace follows.</summary>
public sealed class CommandException(ExitCode code, string message) : Exception(message)
{
    public ExitCode Code { get; } = code;
}
