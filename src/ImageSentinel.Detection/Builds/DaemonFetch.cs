using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Builds;

/// <summary>A connection the engine made itself for a build: base image, ADD by URL, remote or git context, frontend.</summary>
/// <param name="Kind">"pull", "add", "git", "remote" or "frontend".</param>
/// <param name="What">Reference or URL; empty when only the connection was seen.</param>
/// <param name="Ambiguous">Something else the engine did at that moment may own it.</param>
public sealed record DaemonFetch(string Kind, string What, Egress Egress, bool Ambiguous);

/// <summary>A connection of the engine that waits for a build to explain it.</summary>
internal sealed record UnclaimedFetch(int Engine, Stamp At, Destination Destination, ProcessSnapshot Process, EgressOutcome Outcome, int Errno);
