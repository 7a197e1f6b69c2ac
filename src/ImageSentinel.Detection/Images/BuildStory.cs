using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Images;

/// <summary>What must still be known of a build that was not clean when its image is met again, days later.</summary>
/// <param name="Worst">The gravest finding's severity.</param>
/// <param name="Time">When the build began.</param>
/// <param name="Requester">Who asked, in words; empty when nobody was seen.</param>
/// <param name="Uid">Of a requester on this host.</param>
/// <param name="Address">Of a remote requester; else empty.</param>
/// <param name="Step">The accused step's instruction; empty when no step is accused.</param>
/// <param name="Destinations">What it reached that was never seen before; at most eight.</param>
/// <param name="Files">Programs and persistent files that its steps left; at most sixteen.</param>
/// <param name="Findings">Uids.</param>
public sealed record BuildStory(
    string BuildId,
    Verdict Verdict,
    Severity Worst,
    DateTimeOffset Time,
    string ImageId,
    IReadOnlyList<string> Tags,
    string Requester,
    uint? Uid,
    string Address,
    string Step,
    IReadOnlyList<string> Destinations,
    IReadOnlyList<StoryFile> Files,
    IReadOnlyList<string> Findings);

/// <summary>A file that a build left in its image.</summary>
public sealed record StoryFile(string Path, string Sha256);
