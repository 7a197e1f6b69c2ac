using System.Net;
using ImageSentinel.Agent.Options;
using ImageSentinel.Detection;
using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Images;
using ImageSentinel.Detection.Indicators;
using ImageSentinel.Detection.Model;
using ImageSentinel.Sensors.Stream;
using AllowedDestination = ImageSentinel.Agent.Options.AllowedDestination;
using CoreDestination = ImageSentinel.Detection.Baseline.AllowedDestination;
using CorePattern = ImageSentinel.Detection.Baseline.DestinationPattern;
using CoreTrusted = ImageSentinel.Detection.Model.TrustedClient;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>A core with its mapper and processor, as live agent and replay both use it.</summary>
internal sealed record CoreParts(SentinelCore Core, StreamProcessor Processor, ProtoMapper Mapper);

/// <summary>Turns options into a core.</summary>
internal static class CoreFactory
{
    public static CoreParts Create(
        AgentOptions options,
        DestinationBaseline baseline,
        IndicatorSet indicators,
        Action<V1.OutputRecord> emit,
        Action<Lookup> ask,
        ImageGraph? images = null)
    {
        var outputs = new CoreOutputs(emit, ask);
        var core = new SentinelCore(PolicyOf(options.Policy), baseline, outputs, images);
        core.ChangeIndicators(indicators);
        var mapper = new ProtoMapper(core.State, new CoverageTable(core.State));
        outputs.Mapper = mapper;
        return new CoreParts(core, new StreamProcessor(core), mapper);
    }

    public static CorePolicy PolicyOf(PolicyOptions policy) => new(
        [.. policy.TrustedClients.Select(static t => new CoreTrusted(
            t.User ?? "",
            t.Uid,
            t.Exe ?? "",
            t.Remote is { } network ? RangeOf(network) : null,
            t.TlsCommonName ?? "",
            t.ContainerImage ?? ""))],
        policy.RegistryAllowList,
        policy.NewImageThreshold,
        policy.TimeWindow.Ticks * 100,
        [.. policy.AllowedDestinations.Select(static a => new CoreDestination(PatternOf(a), "configured", a.Reason, a.Expires))]);

    private static CorePattern PatternOf(AllowedDestination allowed) => allowed.To.Network is { } network
        ? new CorePattern(RangeOf(network), allowed.Port ?? 0, ProtocolOf(allowed.Protocol), allowed.To.ToString())
        : CorePattern.OfName(allowed.To.Name ?? "", allowed.To.IsSuffix, allowed.Port ?? 0, ProtocolOf(allowed.Protocol), allowed.To.ToString());

    private static EgressProtocol ProtocolOf(string? protocol) => protocol switch
    {
        "tcp" => EgressProtocol.Tcp,
        "udp" => EgressProtocol.Udp,
        _ => EgressProtocol.Unknown,
    };

    private static AddressRange RangeOf(IPNetwork network)
        => AddressRange.TryParse(network.ToString(), out AddressRange range)
            ? range
            : throw new ArgumentException($"{network} is not a network", nameof(network));
}
