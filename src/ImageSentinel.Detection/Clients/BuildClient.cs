using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Clients;

/// <summary>Someone who may have asked for a build.</summary>
/// <param name="Confidence">0 to 1; the shares of all candidates of a build add up to 1.</param>
/// <param name="Reason">Why this one, in words.</param>
public sealed record BuildClient(
    double Confidence,
    Transport Transport,
    NetAddress? Address,
    ushort Port,
    ProcessSnapshot? Process,
    string Reason)
{
    /// <summary>What could be read of its requests on plain TCP, newest last; secrets are not in them.</summary>
    public IReadOnlyList<string> Requests { get; init; } = [];
}
