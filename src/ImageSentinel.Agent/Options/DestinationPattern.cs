using System.Net;

namespace ImageSentinel.Agent.Options;

/// <summary>What an <c>allowed_destinations</c> entry points at: a network, one name, or everything below a name.</summary>
/// <param name="Network">Set for an address or CIDR.</param>
/// <param name="Name">Lower case, without a trailing dot; for a suffix without the leading <c>*.</c>.</param>
/// <param name="IsSuffix">True for <c>*.name</c>: every name below it, not the name itself.</param>
public sealed record DestinationPattern(IPNetwork? Network, string? Name, bool IsSuffix)
{
    public override string ToString()
        => Network is { } network ? network.ToString() : IsSuffix ? $"*.{Name}" : Name ?? "";
}
