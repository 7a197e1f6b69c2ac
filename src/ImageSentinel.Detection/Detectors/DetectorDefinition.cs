namespace ImageSentinel.Detection.Detectors;

/// <summary>What a detector is, apart from what it does.</summary>
/// <param name="Id">Stable; scripts rely on it.</param>
/// <param name="Title">A few words.</param>
/// <param name="Techniques">ATT&amp;CK technique ids. Tactics are looked up in a table that carries the ATT&amp;CK release.</param>
/// <param name="Sensors">Sensors without which it cannot see; off ones are named in the finding's coverage.</param>
public sealed record DetectorDefinition(
    string Id,
    string Title,
    IReadOnlyList<string> Techniques,
    IReadOnlyList<string> Sensors)
{
    /// <summary>ATT&amp;CK mitigations that would have prevented it; their names are in the same table.</summary>
    public IReadOnlyList<string> Mitigations { get; init; } = [];

    public static DetectorDefinition NeverSeenEgress { get; } = new(
        "never-seen-egress",
        "Build step reached a destination never seen before",
        ["T1612"],
        ["audit", "processes"]);

    public static DetectorDefinition DownloadedExecutable { get; } = new(
        "downloaded-executable",
        "Build step wrote a program right after it reached a destination never seen before",
        ["T1105", "T1612"],
        ["audit", "processes", "fanotify"]);

    public static DetectorDefinition PersistenceWrite { get; } = new(
        "persistence-write",
        "Build step wrote what runs again by itself",
        ["T1543", "T1053", "T1612"],
        ["fanotify"]);

    public static DetectorDefinition TaintedImageDeployed { get; } = new(
        "tainted-image-deployed",
        "Container made from an image whose build was not clean",
        ["T1610", "T1611", "T1612"],
        ["fanotify"]);

    public static DetectorDefinition CoverageGap { get; } = new(
        "coverage-gap",
        "Something was lost while an image was built",
        [],
        []);

    public static DetectorDefinition SensorTampered { get; } = new(
        "sensor-tampered",
        "A sensor was interfered with",
        ["T1562.001"],
        []);

    public static DetectorDefinition UnexpectedClient { get; } = new(
        "build-by-unexpected-client",
        "Image built by a client that is not trusted to build",
        ["T1612"],
        ["audit", "processes"])
    {
        Mitigations = ["M1035", "M1026"],
    };

    public static DetectorDefinition BuilderInContainer { get; } = new(
        "builder-in-container",
        "Image built from inside a container",
        ["T1612"],
        ["audit", "processes"])
    {
        Mitigations = ["M1026", "M1047"],
    };

    public static DetectorDefinition RecordMismatch { get; } = new(
        "record-mismatch",
        "The engine's records contradict what was seen of a build",
        ["T1562", "T1612"],
        ["audit", "processes", "history"]);

    public static DetectorDefinition ImageBurst { get; } = new(
        "image-burst",
        "One client made many images in a short time",
        ["T1612"],
        ["fanotify"])
    {
        Mitigations = ["M1047"],
    };

    public static DetectorDefinition ImageWithoutBuild { get; } = new(
        "image-without-build",
        "An image appeared without a build",
        ["T1612"],
        ["fanotify"])
    {
        Mitigations = ["M1047"],
    };

    public static DetectorDefinition UnlistedRegistry { get; } = new(
        "unlisted-registry",
        "Base image or frontend from a registry that is not on the allow-list",
        ["T1612"],
        ["fanotify"]);

    public static DetectorDefinition EgressFanOut { get; } = new(
        "egress-fan-out",
        "One build step reached for many hosts",
        ["T1046", "T1612"],
        ["audit", "processes"]);

    public static DetectorDefinition MetadataService { get; } = new(
        "metadata-service",
        "Build step reached for the cloud metadata service",
        ["T1552.005", "T1612"],
        ["audit", "processes"]);

    public static DetectorDefinition UnusualEgressPath { get; } = new(
        "unusual-egress-path",
        "Build step went out by a path that ordinary programs do not take",
        ["T1562", "T1612"],
        ["audit", "processes"]);

    public static DetectorDefinition IndicatorMatch { get; } = new(
        "indicator-match",
        "Something a build did is on a list of indicators",
        ["T1612"],
        ["audit", "processes", "names"]);

    public static DetectorDefinition NameTunnel { get; } = new(
        "name-tunnel",
        "Questions to the resolver carried data",
        ["T1071.004", "T1612"],
        ["names"]);
}
