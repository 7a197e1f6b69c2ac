using System.Text.Json.Nodes;
using ImageSentinel.Agent.Commands;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Outputs.Render;

/// <summary>A finding as OCSF Detection Finding (class 2004), schema 1.8.0.</summary>
/// <remarks>
/// <c>time</c> is when the finding was made, <c>start_time</c> and <c>end_time</c> bound the activity. <c>status_id</c> is
/// triage, not success. An update carries the same <c>finding_info.uid</c>.
/// </remarks>
internal static class OcsfFinding
{
    private const int ClassUid = 2004;
    private const int CategoryFindings = 2;

    public static string Line(Finding finding) => RecordJson.Escape(Build(finding).ToJsonString(JsonForms.Compact));

    public static JsonObject Build(Finding finding)
    {
        int activity = finding.Activity switch
        {
            Activity.Create => 1,
            Activity.Update => 2,
            Activity.Close => 3,
            _ => 0,
        };
        SeverityRow severity = SeverityTable.Of(finding.Severity);
        var record = new JsonObject
        {
            ["activity_id"] = activity,
            ["activity_name"] = activity switch { 1 => "Create", 2 => "Update", 3 => "Close", _ => "Unknown" },
            ["category_uid"] = CategoryFindings,
            ["category_name"] = "Findings",
            ["class_uid"] = ClassUid,
            ["class_name"] = "Detection Finding",
            ["type_uid"] = (ClassUid * 100) + activity,
            ["severity_id"] = (int)finding.Severity,
            ["severity"] = severity.Ocsf,
            ["status_id"] = activity == 3 ? 4 : 1,
            ["status"] = activity == 3 ? "Resolved" : "New",
            ["is_alert"] = finding.Activity == Activity.Create && finding.Severity >= Severity.High,
            ["message"] = FindingSentence.Of(finding, null),
            ["metadata"] = Metadata(finding),
            ["finding_info"] = FindingInfo(finding),
            ["evidences"] = Evidences(finding),
        };
        Time(record, "time", finding.Time ?? finding.StartTime);
        Time(record, "start_time", finding.StartTime);
        Time(record, "end_time", finding.EndTime);
        Confidence(record, finding.Confidence);
        if (finding.Host is { } host)
        {
            record["device"] = Device(host);
        }

        if (finding.ImageId.Length > 0)
        {
            record["resources"] = new JsonArray(new JsonObject { ["uid"] = finding.ImageId, ["type"] = "container image", ["role_id"] = 1 });
        }

        if (Observables(finding) is { Count: > 0 } observables)
        {
            record["observables"] = observables;
        }

        record["unmapped"] = Unmapped(finding);
        return record;
    }

    private static JsonObject Metadata(Finding finding)
    {
        var metadata = new JsonObject
        {
            ["version"] = "1.8.0",
            ["uid"] = finding.Uid,
            ["event_code"] = finding.Detector,
            ["product"] = new JsonObject
            {
                ["name"] = "ImageSentinel",
                ["vendor_name"] = "ImageSentinel",
                ["version"] = finding.Host is { AgentVersion.Length: > 0 } host ? host.AgentVersion : ProgramVersion.Text,
            },
            ["profiles"] = JsonForms.Array("host"),
        };
        Put(metadata, "correlation_uid", finding.BuildId);
        return metadata;
    }

    private static JsonObject FindingInfo(Finding finding)
    {
        var info = new JsonObject
        {
            ["uid"] = finding.Uid,
            ["title"] = Printable.Sentence(finding.Title, 200),
            ["analytic"] = new JsonObject
            {
                ["type_id"] = finding.Detector == "never-seen-egress" ? 3 : 1,
                ["type"] = finding.Detector == "never-seen-egress" ? "Statistical" : "Rule",
                ["uid"] = finding.Detector,
                ["name"] = finding.Detector,
            },
        };
        Time(info, "first_seen_time", finding.StartTime);
        Time(info, "last_seen_time", finding.EndTime);
        if (finding.Techniques.Count > 0)
        {
            var attacks = new JsonArray();
            foreach (Technique technique in finding.Techniques)
            {
                var attack = new JsonObject { ["technique"] = Named(technique.TechniqueId, technique.TechniqueName) };
                Put(attack, "version", technique.AttackVersion);
                if (technique.TacticId.Length > 0)
                {
                    attack["tactic"] = Named(technique.TacticId, technique.TacticName);
                }

                attacks.Add((JsonNode)attack);
            }

            info["attacks"] = attacks;
        }

        return info;
    }

    private static JsonArray Evidences(Finding finding)
    {
        var all = new JsonArray();
        foreach (Evidence evidence in finding.Evidence)
        {
            var one = new JsonObject();
            if ((evidence.Process ?? evidence.Egress?.Process ?? evidence.File?.Process ?? evidence.Client?.Process) is { } process)
            {
                one["process"] = Process(process);
                one["actor"] = new JsonObject { ["process"] = Process(process) };
            }

            if (evidence.Egress is { } egress)
            {
                one["dst_endpoint"] = Endpoint(egress);
                one["connection_info"] = new JsonObject { ["direction_id"] = 2, ["direction"] = "Outbound", ["protocol_name"] = egress.Protocol.ToString().ToLowerInvariant() };
            }

            if (evidence.File is { } file)
            {
                one["file"] = File(file);
            }

            if (finding.ContainerId.Length > 0)
            {
                one["container"] = new JsonObject { ["uid"] = finding.ContainerId };
            }

            // OCSF wants at least one artefact in each; a sentence alone is not one.
            if (one.Count > 0)
            {
                one["data"] = new JsonObject { ["summary"] = Printable.Sentence(evidence.Summary, 1000) };
                all.Add((JsonNode)one);
            }
        }

        return all;
    }

    private static JsonObject Process(ProcessInfo process)
    {
        var row = new JsonObject { ["pid"] = process.Pid, ["name"] = Path.GetFileName(process.Exe) };
        Put(row, "cmd_line", string.Join(' ', process.Args));
        Time(row, "created_time", process.StartTime);
        if (process.Exe.Length > 0)
        {
            row["file"] = new JsonObject { ["name"] = Path.GetFileName(process.Exe), ["path"] = process.Exe, ["type_id"] = 1 };
        }

        if (process.HasUid)
        {
            var user = new JsonObject { ["uid"] = process.Uid.ToString(System.Globalization.CultureInfo.InvariantCulture) };
            Put(user, "name", process.User);
            row["user"] = user;
        }

        if (process.Ancestors.FirstOrDefault() is { } parent)
        {
            row["parent_process"] = new JsonObject { ["pid"] = parent.Pid, ["name"] = Path.GetFileName(parent.Exe), ["cmd_line"] = parent.Command };
        }

        return row;
    }

    private static JsonObject Endpoint(Egress egress)
    {
        var endpoint = new JsonObject { ["ip"] = egress.Address };
        if (egress.Port > 0)
        {
            endpoint["port"] = egress.Port;
        }

        Put(endpoint, "hostname", egress.Names.FirstOrDefault()?.Name);
        return endpoint;
    }

    private static JsonObject File(FileArtifact file)
    {
        var row = new JsonObject { ["name"] = Path.GetFileName(file.Path), ["path"] = file.Path, ["type_id"] = 1, ["size"] = file.Size };
        if (file.Sha256.Length > 0)
        {
            row["hashes"] = new JsonArray(new JsonObject { ["algorithm_id"] = 3, ["algorithm"] = "SHA-256", ["value"] = file.Sha256 });
        }

        return row;
    }

    private static JsonArray Observables(Finding finding)
    {
        var all = new JsonArray();
        foreach (string address in finding.Evidence.Select(evidence => evidence.Egress?.Address).OfType<string>().Where(text => text.Length > 0).Distinct())
        {
            all.Add((JsonNode)new JsonObject { ["name"] = "evidences.dst_endpoint.ip", ["type_id"] = 2, ["type"] = "IP Address", ["value"] = address });
        }

        foreach (string hash in finding.Evidence.Select(evidence => evidence.File?.Sha256).OfType<string>().Where(text => text.Length > 0).Distinct())
        {
            all.Add((JsonNode)new JsonObject { ["name"] = "evidences.file.hashes.value", ["type_id"] = 8, ["type"] = "Hash", ["value"] = hash });
        }

        return all;
    }

    private static JsonObject Device(HostInfo host)
    {
        var device = new JsonObject { ["hostname"] = host.Hostname, ["uid"] = host.HostId, ["type_id"] = 1, ["type"] = "Server" };
        device["os"] = new JsonObject { ["name"] = "Linux", ["type_id"] = 200, ["type"] = "Linux", ["kernel_release"] = host.KernelRelease };
        return device;
    }

    private static JsonObject Unmapped(Finding finding)
    {
        var rest = new JsonObject();
        Put(rest, "build_id", finding.BuildId);
        Put(rest, "step_id", finding.StepId);
        if (finding.Coverage is { } coverage)
        {
            rest["lost_events"] = coverage.LostEvents;
            var limited = new JsonArray();
            foreach (SensorCoverage sensor in coverage.Sensors.Where(sensor => sensor.State != SensorState.Active))
            {
                limited.Add((JsonNode)$"{sensor.Sensor} {BuildWords.Sensor(sensor.State)}: {sensor.Reason}");
            }

            rest["limited_sensors"] = limited;
        }

        return rest;
    }

    private static void Confidence(JsonObject record, double confidence)
    {
        (int id, string word) = confidence switch
        {
            >= 0.8 => (3, "High"),
            >= 0.5 => (2, "Medium"),
            > 0 => (1, "Low"),
            _ => (0, "Unknown"),
        };
        record["confidence_id"] = id;
        record["confidence"] = word;
        record["confidence_score"] = (int)Math.Round(confidence * 100);
    }

    private static JsonObject Named(string uid, string name)
    {
        var row = new JsonObject { ["uid"] = uid };
        Put(row, "name", name);
        return row;
    }

    private static void Put(JsonObject row, string name, string? value)
    {
        if (!string.IsNullOrEmpty(value))
        {
            row[name] = value;
        }
    }

    private static void Time(JsonObject row, string name, Google.Protobuf.WellKnownTypes.Timestamp? time)
    {
        if (JsonForms.Milliseconds(time) is { } milliseconds)
        {
            row[name] = milliseconds;
        }
    }
}
