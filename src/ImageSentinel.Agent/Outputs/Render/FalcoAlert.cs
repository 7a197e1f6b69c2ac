using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Outputs.Render;

/// <summary>A finding in the shape of Falco's JSON output, for everything that reads that (falcosidekick and its targets).</summary>
internal static class FalcoAlert
{
    public static string Line(Finding finding) => RecordJson.Escape(Build(finding).ToJsonString(JsonForms.Compact));

    public static JsonObject Build(Finding finding)
    {
        var tags = JsonForms.Array("container");
        foreach (Technique technique in finding.Techniques)
        {
            tags.Add((JsonNode)technique.TechniqueId);
            if (technique.TacticName.Length > 0)
            {
                tags.Add((JsonNode)$"mitre_{technique.TacticName.ToLowerInvariant().Replace(' ', '_')}");
            }
        }

        return new JsonObject
        {
            ["uuid"] = finding.Uid,
            ["output"] = FindingSentence.Of(finding, null),
            ["priority"] = SeverityTable.Of(finding.Severity).Falco,
            ["rule"] = finding.Detector,
            ["source"] = "imagesentinel",
            ["tags"] = tags,
            ["time"] = JsonForms.Rfc3339(finding.Time ?? finding.StartTime),
            ["hostname"] = finding.Host?.Hostname ?? "",
            ["output_fields"] = Fields(finding),
        };
    }

    private static JsonObject Fields(Finding finding)
    {
        Egress? egress = finding.Evidence.FirstOrDefault(evidence => evidence.Egress is not null)?.Egress;
        ProcessInfo? process = egress?.Process ?? finding.Evidence.FirstOrDefault(evidence => evidence.Process is not null)?.Process;
        FileArtifact? file = finding.Evidence.FirstOrDefault(evidence => evidence.File is not null)?.File;
        var fields = new JsonObject();
        // Falco's own field names where Falco has one; the rest under our name.
        Put("proc.name", process is null ? null : Path.GetFileName(process.Exe));
        Put("proc.exepath", process?.Exe);
        Put("proc.cmdline", process is null ? null : string.Join(' ', process.Args));
        Put("proc.pname", process?.Ancestors.FirstOrDefault() is { } parent ? Path.GetFileName(parent.Exe) : null);
        Put("user.name", process?.User);
        if (process is { HasUid: true })
        {
            fields["user.uid"] = process.Uid;
        }

        if (process is not null)
        {
            fields["proc.pid"] = process.Pid;
        }

        Put("container.id", finding.ContainerId.Length > 0 ? finding.ContainerId : process?.ContainerId);
        Put("container.image.id", finding.ImageId);
        Put("fd.rip", egress?.Address);
        if (egress is { Port: > 0 })
        {
            fields["fd.rport"] = egress.Port;
        }

        Put("fd.l4proto", egress is null ? null : egress.Protocol.ToString().ToLowerInvariant());
        Put("fd.rip.name", egress?.Names.FirstOrDefault()?.Name);
        Put("fs.path.name", file?.Path);
        Put("imagesentinel.build_id", finding.BuildId);
        Put("imagesentinel.step_id", finding.StepId);
        Put("imagesentinel.activity", finding.Activity.ToString().ToLowerInvariant());
        fields["imagesentinel.confidence"] = Math.Round(finding.Confidence, 2);
        return fields;

        void Put(string name, string? value)
        {
            if (!string.IsNullOrEmpty(value))
            {
                fields[name] = value;
            }
        }
    }
}

/// <summary>Small forms that the JSON renderers share.</summary>
internal static class JsonForms
{
    public static JsonSerializerOptions Compact { get; } = new() { WriteIndented = false };

    public static JsonArray Array(params ReadOnlySpan<string> items)
    {
        var array = new JsonArray();
        foreach (string item in items)
        {
            array.Add((JsonNode)item);
        }

        return array;
    }

    public static string Rfc3339(Google.Protobuf.WellKnownTypes.Timestamp? time)
        => time is null
            ? ""
            : string.Create(CultureInfo.InvariantCulture, $"{DateTimeOffset.FromUnixTimeSeconds(time.Seconds):yyyy-MM-dd'T'HH:mm:ss}.{time.Nanos:D9}Z");

    public static long? Milliseconds(Google.Protobuf.WellKnownTypes.Timestamp? time)
        => time is null ? null : (time.Seconds * 1000) + (time.Nanos / 1_000_000);
}
