using ImageSentinel.V1;

namespace ImageSentinel.Agent.Control;

/// <summary>What a running agent can be asked and told. Implemented by the pipeline; every member is thread-safe.</summary>
public interface IAgentState
{
    /// <summary>
    /// Coverage, start, engines, spool and collector. Builds, findings and memory are filled in by the caller from
    /// <see cref="AgentHistory"/>.
    /// </summary>
    GetStatusResponse GetStatus();

    /// <summary>A snapshot of the baseline.</summary>
    IReadOnlyCollection<KnownDestination> ListDestinations();

    /// <exception cref="FormatException">The text is not a destination; the message says how to write one.</exception>
    void ApproveDestination(string destination, string reason);

    /// <returns>How many entries were removed; 0 when none matched.</returns>
    /// <exception cref="FormatException">The text is not a destination; the message says how to write one.</exception>
    uint ForgetDestination(string destination);

    /// <summary>The kept capture of a build with findings; null when there is none.</summary>
    byte[]? CaptureOf(string buildId) => null;
}
