using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Outputs.Render;

/// <summary>Everything about one finding in one file to hand on: a ZIP archive that <c>replay</c> takes as it is.</summary>
/// <remarks>
/// <c>finding.ocsf.json</c> (Detection Finding with the timeline, peers, hashes, containers and coverage), <c>related.ocsf.jsonl</c>,
/// <c>build.json</c> as the output stream has it, <c>Dockerfile</c> as the steps tell it, <c>story.txt</c>, and
/// <c>capture.iscap</c> where the agent still had the moments. Secrets were taken out before any of it was made.
/// </remarks>
internal static class EvidenceBundle
{
    public const string CaptureName = "capture.iscap";

    public static void Write(Stream file, ExplainResponse story)
    {
        using var archive = new ZipArchive(file, ZipArchiveMode.Create, leaveOpen: true);
        Add(archive, "finding.ocsf.json", RecordJson.Escape(Finding(story).ToJsonString(JsonForms.Compact)) + "\n", story);
        if (story.Related.Count > 0)
        {
            Add(archive, "related.ocsf.jsonl", string.Concat(story.Related.Select(static other => OcsfFinding.Line(other) + "\n")), story);
        }

        if (story.Build is { } build)
        {
            Add(archive, "build.json", RecordJson.Line(new OutputRecord { Build = build }) + "\n", story);
            Add(archive, "Dockerfile", Dockerfile(build), story);
        }

        var text = new StringWriter();
        StoryPage.Write(Terminal.Create(text, isTerminal: false), story);
        Add(archive, "story.txt", text.ToString(), story);
        if (!story.Capture.IsEmpty)
        {
            // Compressed already.
            using Stream entry = Entry(archive, CaptureName, CompressionLevel.NoCompression, story).Open();
            story.Capture.WriteTo(entry);
        }
    }

    /// <summary>The finding with what its build adds, as OCSF keeps such things: unmapped.</summary>
    public static JsonObject Finding(ExplainResponse story)
    {
        JsonObject record = OcsfFinding.Build(story.Finding);
        JsonObject rest = record["unmapped"] as JsonObject ?? [];
        rest["timeline"] = new JsonArray([.. StoryTimeline.Of(story.Finding, story.Build).Select(static moment => (JsonNode)new JsonObject
        {
            ["time"] = JsonForms.Milliseconds(moment.Time),
            ["what"] = moment.What,
        })]);
        rest["capture"] = !story.Capture.IsEmpty;
        if (story.Build is { } build)
        {
            rest["verdict"] = BuildWords.Verdict(build.Verdict);
            rest["requesters"] = Texts(build.Clients.Select(FindingSentence.ClientName));
            rest["dockerfile"] = Dockerfile(build);
            rest["destinations"] = Texts(build.Steps.SelectMany(static step => step.Egress)
                .Concat(build.DaemonFetches.Select(static fetch => fetch.Egress).OfType<Egress>()).Select(FindingSentence.Destination).Distinct());
            rest["files"] = new JsonArray([.. build.Steps.SelectMany(static step => step.Files).Select(static file => (JsonNode)new JsonObject
            {
                ["path"] = file.Path,
                ["sha256"] = file.Sha256,
                ["size"] = file.Size,
                ["kind"] = file.Kind.ToString().ToUpperInvariant(),
                ["executed"] = file.Executed,
                ["from"] = file.From,
                ["layer"] = file.Layer,
            })]);
            rest["containers"] = new JsonArray([.. build.Containers.Select(static container => (JsonNode)new JsonObject
            {
                ["uid"] = container.Id,
                ["name"] = container.Name,
                ["image"] = container.Image,
                ["risks"] = Texts(container.Risks),
            })]);
            rest["notes"] = Texts(build.Notes.Concat(build.Coverage?.Notes ?? []).Distinct());
        }

        record["unmapped"] = rest;
        return record;
    }

    /// <summary>The file as far as base images and executed steps tell it.</summary>
    public static string Dockerfile(Build build)
    {
        var text = new StringBuilder("# Put together by ImageSentinel from what ran; COPY, ENV and the like leave no step.\n");
        foreach (string from in build.BaseImages)
        {
            text.Append("FROM ").Append(Printable.Line(from, 400)).Append('\n');
        }

        foreach (BuildStep step in build.Steps.Where(static step => step.Kind == StepKind.Run).OrderBy(static step => step.Index))
        {
            if (step.Index > 0)
            {
                text.Append(CultureInfo.InvariantCulture, $"# {step.Index} of {step.Total}{(step.Cached ? ", cached" : "")}\n");
            }

            text.Append(Printable.Line(step.Instruction, 8192)).Append('\n');
        }

        return text.ToString();
    }

    private static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(static text => (JsonNode)text)]);

    private static void Add(ZipArchive archive, string name, string content, ExplainResponse story)
    {
        using Stream entry = Entry(archive, name, CompressionLevel.Optimal, story).Open();
        entry.Write(Encoding.UTF8.GetBytes(content));
    }

    // The finding's own time, so that the same finding makes the same bundle.
    private static ZipArchiveEntry Entry(ZipArchive archive, string name, CompressionLevel level, ExplainResponse story)
    {
        ZipArchiveEntry entry = archive.CreateEntry(name, level);
        DateTimeOffset time = story.Finding.Time?.ToDateTimeOffset() ?? DateTimeOffset.UnixEpoch;
        entry.LastWriteTime = time.Year >= 1980 ? time : new DateTimeOffset(1980, 1, 1, 0, 0, 0, TimeSpan.Zero);
        return entry;
    }
}
