using Google.Protobuf.WellKnownTypes;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Text;
using ImageSentinel.Docker.BuildKit;

namespace ImageSentinel.Docker.History;

/// <summary>The engine's messages as facts: bounded, and without what may be secret.</summary>
internal static class HistoryFacts
{
    private const int MaximumText = 2048;
    private const int MaximumAttributes = 64;
    private const string Naming = "naming to ";
    private const string ImageConfig = "application/vnd.docker.container.image.v1";

    // What a build was asked to be. Everything else a client may put there stays with the engine.
    private static readonly HashSet<string> Kept = new(StringComparer.Ordinal)
    {
        "filename", "target", "platform", "no-cache", "context", "image-resolve-mode", "force-network-mode", "cgroup-parent", "source",
        "cmdline", "dockerfilekey", "contextkey",
    };

    public static BuildRecordFact? Record(int engine, BuildHistoryEvent message) => message.Record is not { Ref.Length: > 0 } record
        ? null
        : new BuildRecordFact(
            engine,
            message.Type switch
            {
                BuildHistoryEventType.Started => BuildRecordChange.Started,
                BuildHistoryEventType.Complete => BuildRecordChange.Complete,
                BuildHistoryEventType.Deleted => BuildRecordChange.Deleted,
                _ => BuildRecordChange.None,
            },
            Cut(record.Ref),
            Cut(record.Frontend),
            [.. record.FrontendAttrs.Where(static a => Kept.Contains(a.Key) || IsArgument(a.Key))
                .OrderBy(static a => a.Key, StringComparer.Ordinal)
                .Take(MaximumAttributes)
                .Select(static a => new BuildAttribute(Cut(a.Key), IsArgument(a.Key) ? "" : Clean(a.Value)))],
            [.. record.Exporters.SelectMany(static e => e.Attrs).Where(static a => a.Key == "name")
                .SelectMany(static a => a.Value.Split(',', StringSplitOptions.RemoveEmptyEntries)).Take(MaximumAttributes).Select(Cut)],
            Nanoseconds(record.CreatedAt),
            Nanoseconds(record.CompletedAt),
            Clean(record.Error?.Message ?? ""),
            record.NumCachedSteps,
            record.NumTotalSteps,
            record.Result?.Result is { } image && image.MediaType.StartsWith(ImageConfig, StringComparison.Ordinal) ? Cut(image.Digest) : "");

    /// <summary>Part of what a build's steps are told to be; null when it says nothing that is kept.</summary>
    public static BuildVertexFact? Steps(int engine, string reference, StatusResponse message)
    {
        List<BuildVertex> vertexes = [.. message.Vertexes.Select(Vertex)];
        List<string> names = [.. message.Statuses.Select(static s => s.Id.StartsWith(Naming, StringComparison.Ordinal) ? s.Id : s.Name)
            .Where(static n => n.StartsWith(Naming, StringComparison.Ordinal))
            .Select(static n => Cut(n[Naming.Length..]))
            .Distinct()];
        return vertexes.Count == 0 && names.Count == 0 ? null : new BuildVertexFact(engine, reference, vertexes, names);
    }

    private static BuildVertex Vertex(Vertex vertex) => new(
        Cut(vertex.Digest),
        Clean(vertex.Name),
        vertex.Cached,
        Nanoseconds(vertex.Started),
        Nanoseconds(vertex.Completed),
        Clean(vertex.Error));

    // The value of a build argument may be a password: that there is one is enough.
    private static bool IsArgument(string name) => name.StartsWith("build-arg:", StringComparison.Ordinal);

    private static string Clean(string text) => Cut(Redactor.Redact(Cut(text)));

    private static string Cut(string text) => text.Length <= MaximumText ? text : text[..MaximumText];

    private static long Nanoseconds(Timestamp? time) => time is null ? 0 : (time.Seconds * Stamp.Second) + time.Nanos;
}
