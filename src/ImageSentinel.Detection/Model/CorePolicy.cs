using ImageSentinel.Detection.Baseline;

namespace ImageSentinel.Detection.Model;

/// <summary>A client that may build. All given fields must match.</summary>
public sealed record TrustedClient(
    string User,
    uint? Uid,
    string Exe,
    AddressRange? Remote,
    string TlsCommonName,
    string ContainerImage);

/// <summary>What the operator decided, as the core needs it.</summary>
public sealed record CorePolicy(
    IReadOnlyList<TrustedClient> TrustedClients,
    IReadOnlyList<string> RegistryAllowList,
    int NewImageThreshold,
    long TimeWindow,
    IReadOnlyList<AllowedDestination> AllowedDestinations)
{
    public static CorePolicy Default { get; } = new([], [], 10, 5 * 60 * Stamp.Second, []);
}
