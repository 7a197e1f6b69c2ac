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
    public static DetectorDefinition NeverSeenEgress { get; } = new(
        "never-seen-egress",
        "Build step reached a destination never seen before",
        ["T1612"],
        ["audit", "processes"]);

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
        ["audit", "processes"]);
}
