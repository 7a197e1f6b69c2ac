namespace ImageSentinel.Detection.Model;

/// <summary>Whether an engine's build history is being followed. What is missing in it means something only while it is.</summary>
public sealed record HistoryStateFact(int Engine, bool Following, string Note) : Fact;

public enum BuildRecordChange
{
    None = 0,
    Started = 1,
    Complete = 2,
    Deleted = 3,
}

/// <summary>An engine's own record of a build began, was completed or was deleted (BuildKit's build history).</summary>
/// <param name="Ref">The record's name; chosen by the client, unique on the engine.</param>
/// <param name="Attributes">What the client asked of the frontend. Values of build arguments are never taken.</param>
/// <param name="Names">Names the image was to get.</param>
/// <param name="CreatedWall">Nanoseconds since the epoch; 0 when not told.</param>
/// <param name="CompletedWall">Nanoseconds since the epoch; 0 while it runs or when not told.</param>
/// <param name="Error">Empty when the build succeeded.</param>
/// <param name="ImageId"><c>sha256:…</c> of the image's configuration; empty when none was made or the store has another name for it.</param>
public sealed record BuildRecordFact(
    int Engine,
    BuildRecordChange Change,
    string Ref,
    string Frontend,
    IReadOnlyList<BuildAttribute> Attributes,
    IReadOnlyList<string> Names,
    long CreatedWall,
    long CompletedWall,
    string Error,
    int CachedSteps,
    int TotalSteps,
    string ImageId) : Fact;

/// <summary>One parameter of a build.</summary>
public sealed record BuildAttribute(string Name, string Value);

/// <summary>Steps of a recorded build as the engine tells them: what is new in each message.</summary>
/// <param name="Names">Names that the image was given.</param>
/// <param name="Beyond">There are more steps than are kept: a step that is not here may be one of them.</param>
public sealed record BuildVertexFact(
    int Engine, string Ref, IReadOnlyList<BuildVertex> Vertexes, IReadOnlyList<string> Names, bool Beyond = false) : Fact;

/// <summary>One step of a recorded build, or something the engine does for it.</summary>
/// <param name="Digest">The same for the same work in two builds: they share one execution.</param>
/// <param name="Name">As the client shows it: <c>[2/3] RUN …</c>.</param>
/// <param name="StartedWall">Nanoseconds since the epoch; 0 when it has not begun.</param>
/// <param name="CompletedWall">Nanoseconds since the epoch; 0 when it has not ended.</param>
public sealed record BuildVertex(string Digest, string Name, bool Cached, long StartedWall, long CompletedWall, string Error);
