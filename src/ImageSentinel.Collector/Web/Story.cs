using System.Buffers;
using System.Globalization;
using System.Text;
using Google.Protobuf.WellKnownTypes;
using ImageSentinel.Collector.Store;
using ImageSentinel.V1;

namespace ImageSentinel.Collector.Web;

/// <summary>Records in words. Plain text, nothing escaped: <see cref="Show"/> does that.</summary>
internal static class Story
{
    private static readonly SearchValues<char> ShellWords = SearchValues.Create(" \t\n'\"\\$`|&;<>()*?#");

    public static string ImageName(Build build)
        => build.Image is not { } image ? "(no image)"
            : image.Tags.Count > 0 ? string.Join(", ", image.Tags)
            : image.Id.Length > 0 ? Short(image.Id) : "(no image)";

    public static string Verdict(Build build, bool silent)
        => build.State == BuildState.Started && build.Verdict == V1.Verdict.Unspecified
            ? silent ? "no end seen" : "running"
            : Show.Word(build.Verdict);

    public static string Result(Build build)
        => build.State == BuildState.Started ? "running" : build.Result == BuildResult.NoImage ? "no image" : Show.Word(build.Result);

    public static string Who(Build build)
        => build.Clients.Count == 0 ? "not seen"
            : build.Clients.Count == 1 ? WhoOne(build.Clients[0])
            : $"{WhoOne(build.Clients[0])} (or {build.Clients.Count - 1} more)";

    public static string Transport(Build build) => build.Clients.Count == 0 ? "" : build.Clients[0].Transport;

    /// <summary>The build in one sentence, the gravest finding's message behind it.</summary>
    public static string Sentence(Build build, IReadOnlyList<Finding> findings, bool silent)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{Who(build)} had {build.Host?.Hostname ?? "a host"} build {ImageName(build)}");
        text.Append(build.State == BuildState.Ended ? $", which {ResultVerb(build.Result)}. " : silent ? "; its agent fell silent before the end. " : "; it is still running. ");
        Finding? gravest = findings.MaxBy(finding => finding.Severity);
        text.Append(gravest is not null ? gravest.Message
            : build.Verdict == V1.Verdict.Unknown ? "Something could not be seen, so it is not called clean."
            : build.Verdict == V1.Verdict.Clean ? "Nothing in it was out of the ordinary." : "");
        return text.ToString();
    }

    public static string Client(BuildClient client)
    {
        var text = new StringBuilder(WhoOne(client));
        text.Append(" over ").Append(client.Transport.Length > 0 ? client.Transport : "an unknown transport");
        if (client.Address.Length > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $" from {Endpoint(client.Address, client.Port)}");
        }

        if (client.TlsCommonName.Length > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $" as TLS client {client.TlsCommonName}");
        }

        return text.ToString();
    }

    public static string StepNumber(BuildStep step)
        => step.Kind == StepKind.Frontend ? "frontend"
            : step.Index == 0 ? "step (number not seen)"
            : step.Total > 0 ? $"step {step.Index} of {step.Total}" : $"step {step.Index}";

    public static string StepEnd(BuildStep step)
    {
        var parts = new List<string>();
        if (step.Cached)
        {
            parts.Add("from cache, nothing ran");
        }
        else
        {
            parts.Add(step.HasExitCode ? $"exit {step.ExitCode}" : step.EndTime is null ? "running" : "exit code not seen");
            parts.Add(Duration(step.StartTime, step.EndTime));
        }

        if (step.Network is not StepNetwork.Unspecified)
        {
            parts.Add($"network {Show.Word(step.Network)}");
        }

        parts.Add(step.ContainerId.Length > 0 ? $"container {Short(step.ContainerId)}" : "");
        return string.Join(", ", parts.Where(part => part.Length > 0));
    }

    public static string Destination(Egress egress)
    {
        string where = Endpoint(egress.Address, egress.Port);
        return egress.Names.Count == 0 ? where : $"{string.Join(", ", egress.Names.Select(name => name.Name).Distinct())} ({where})";
    }

    public static string EgressFacts(Egress egress)
    {
        var parts = new List<string> { Show.Word(egress.Protocol), Show.Name(egress.Outcome) is "unspecified" ? "outcome not seen" : Words(egress.Outcome) };
        if (egress.Attempts > 1)
        {
            parts.Add($"{egress.Attempts} attempts");
        }

        if (egress.BytesSent + egress.BytesReceived > 0)
        {
            parts.Add($"{egress.BytesSent} bytes sent, {egress.BytesReceived} received");
        }

        parts.Add(egress.Path switch
        {
            EgressPath.IoUring => "through io_uring",
            EgressPath.Syscall32 => "through a 32-bit system call",
            EgressPath.FlowOnly => "seen as a flow only, no system call seen",
            _ => "",
        });
        return string.Join(", ", parts.Where(part => part.Length > 0));
    }

    public static string Novelty(Novelty novelty) => novelty switch
    {
        V1.Novelty.NeverSeen => "never seen",
        V1.Novelty.NewToImage => "new to this image",
        V1.Novelty.Known => "known",
        V1.Novelty.Learning => "new while learning",
        _ => "not judged",
    };

    public static string NoveltyTone(Egress egress)
        => egress.Indicator.Length > 0 ? "bad" : egress.Novelty switch
        {
            V1.Novelty.NeverSeen => "bad",
            V1.Novelty.NewToImage or V1.Novelty.Learning => "warn",
            V1.Novelty.Known => "good",
            _ => "off",
        };

    public static string File(FileArtifact file)
    {
        var parts = new List<string>();
        if (file.Kind != FileKind.Unspecified)
        {
            parts.Add(Show.Word(file.Kind));
        }

        if (file.Size > 0)
        {
            parts.Add($"{file.Size} bytes");
        }

        parts.AddRange(new[]
        {
            file.Persistence,
            file.From.Length > 0 ? $"after {file.From}" : "",
            file.Indicator.Length > 0 ? $"on the feed: {file.Indicator}" : "",
            file.Note,
            file.Removed ? "removed again" : "",
            file.Sha256.Length > 0 ? $"sha256:{file.Sha256}" : "",
        }.Where(part => part.Length > 0));
        return parts.Count > 0 ? $"{file.Path} ({string.Join(", ", parts)})" : file.Path;
    }

    public static string MoreFiles(BuildStep step)
        => string.Create(CultureInfo.InvariantCulture, $"{step.FilesNotListed:N0} more files, of {step.FilesWritten:N0}")
            + (step.FilesNotLookedAt > 0 ? string.Create(CultureInfo.InvariantCulture, $"; {step.FilesNotLookedAt:N0} were not looked into") : "");

    public static string Container(DeployedContainer container)
        => $"{(container.Name.Length > 0 ? container.Name + " " : "")}({Short(container.Id)}) from {(container.Image.Length > 0 ? container.Image : Short(container.ImageId))}"
            + (container.Risks.Count > 0 ? $": {string.Join(", ", container.Risks)}" : "");

    /// <summary>What happened when, in few words; the sections around it say the rest.</summary>
    public static IEnumerable<(Timestamp Time, string What)> Timeline(Build build)
    {
        var moments = new List<(Timestamp Time, string What)>();
        Add(build.StartTime, "build starts");
        foreach (BuildStep step in build.Steps.Where(step => !step.Cached))
        {
            Add(step.StartTime, $"{StepNumber(step)} starts");
            foreach (Egress egress in step.Egress)
            {
                Add(egress.StartTime, $"{StepNumber(step)} reaches for {Destination(egress)}, {Novelty(egress.Novelty)}");
            }

            foreach (FileArtifact file in step.Files.Where(file => file.From.Length > 0 || file.Executed || file.Persistence.Length > 0))
            {
                Add(file.Time, $"{StepNumber(step)} writes {file.Path}{(file.Executed ? " and runs it" : "")}");
            }

            Add(step.EndTime, $"{StepNumber(step)} ends");
        }

        Add(build.EndTime, $"build ends: {Result(build)}");
        foreach (DeployedContainer container in build.Containers)
        {
            Add(container.Time, $"container {(container.Name.Length > 0 ? container.Name : Short(container.Id))} is made");
            foreach (Egress egress in container.Egress)
            {
                Add(egress.StartTime, $"that container reaches for {Destination(egress)}");
            }
        }

        return moments.OrderBy(moment => moment.Time);

        void Add(Timestamp? time, string what)
        {
            if (time is not null)
            {
                moments.Add((time, what));
            }
        }
    }

    public static string Command(ProcessInfo process)
        => process.Args.Count > 0 ? string.Join(' ', process.Args.Select(Quote)) : process.Exe.Length > 0 ? process.Exe : "(command not seen)";

    public static string ProcessFacts(ProcessInfo process)
    {
        var parts = new List<string> { $"pid {process.Pid}", process.Exe };
        if (process.HasUid)
        {
            parts.Add(process.User.Length > 0 ? $"{process.User} (uid {process.Uid})" : $"uid {process.Uid}");
        }

        if (process.HasAuid && process.Auid != uint.MaxValue)
        {
            parts.Add(process.LoginUser.Length > 0 ? $"logged in as {process.LoginUser} ({process.Auid})" : $"login uid {process.Auid}");
        }

        parts.Add(process.ContainerId.Length > 0 ? $"in container {Short(process.ContainerId)}" : "");
        return string.Join(", ", parts.Where(part => part.Length > 0));
    }

    public static string Activity(Activity activity) => activity switch
    {
        V1.Activity.Create => "new",
        V1.Activity.Update => "updated",
        V1.Activity.Close => "closed",
        _ => "state not told",
    };

    public static string Technique(Technique technique)
        => $"{technique.TechniqueId} {technique.TechniqueName} ({technique.TacticId} {technique.TacticName}, ATT&CK {technique.AttackVersion})";

    public static string Losses(SensorCoverage sensor)
    {
        var parts = new List<string>();
        Add(sensor.LostInKernel, "lost in the kernel");
        Add(sensor.Dropped, "dropped by us");
        Add(sensor.Missing, "missing by serial");
        return string.Join(", ", parts);

        void Add(ulong count, string how)
        {
            if (count > 0)
            {
                parts.Add($"{count} {how}");
            }
        }
    }

    public static IEnumerable<string> CoverageLines(HostState host)
    {
        foreach (string line in host.Coverage is { } coverage ? CoverageLines(coverage) : ["not told yet"])
        {
            yield return line;
        }

        if (host.GivenUp > 0)
        {
            yield return $"{host.GivenUp} records given up by the agent's spool";
        }

        if (host.UnknownRecords > 0)
        {
            yield return $"{host.UnknownRecords} records this collector cannot read: it may be older than the agent";
        }
    }

    private static IEnumerable<string> CoverageLines(Coverage coverage)
    {
        string[] blind = [.. coverage.Sensors.Where(sensor => sensor.State != SensorState.Active).Select(sensor => $"{sensor.Sensor} {Show.Word(sensor.State)}: {sensor.Reason}")];
        yield return blind.Length == 0 ? "all sensors active" : $"{coverage.Sensors.Count - blind.Length} of {coverage.Sensors.Count} sensors active";
        foreach (string line in blind)
        {
            yield return line;
        }

        if (coverage.LostEvents > 0)
        {
            yield return $"{coverage.LostEvents} events lost";
        }

        foreach (string note in coverage.Notes)
        {
            yield return note;
        }
    }

    public static string Duration(Timestamp? from, Timestamp? to)
    {
        long start = UnixMilliseconds.Of(from, long.MinValue);
        long end = UnixMilliseconds.Of(to, long.MinValue);
        return start == long.MinValue || end < start ? "" : string.Create(CultureInfo.InvariantCulture, $"{(end - start) / 1000.0:0.0} s");
    }

    private static string WhoOne(BuildClient client)
        => client.Process is { } process
            ? (process.LoginUser.Length > 0 && process.LoginUser != process.User ? $"{process.LoginUser} as {UserOf(process)}" : UserOf(process))
                + (process.ContainerId.Length > 0 ? $" in container {Short(process.ContainerId)}" : "")
            : client.TlsCommonName.Length > 0 ? client.TlsCommonName
            : client.Address.Length > 0 ? client.Address : "somebody";

    private static string UserOf(ProcessInfo process)
        => process.User.Length > 0 ? process.User : process.HasUid ? $"uid {process.Uid}" : process.Exe.Length > 0 ? process.Exe : $"pid {process.Pid}";

    private static string ResultVerb(BuildResult result) => result switch
    {
        BuildResult.Succeeded => "succeeded",
        BuildResult.Failed => "failed",
        BuildResult.Cancelled => "was cancelled",
        BuildResult.NoImage => "ended without an image",
        _ => "ended",
    };

    private static string Words(EgressOutcome outcome) => outcome switch
    {
        EgressOutcome.InProgress => "attempted",
        EgressOutcome.TimedOut => "timed out",
        _ => Show.Name(outcome),
    };

    private static string Endpoint(string address, uint port)
        => port == 0 ? address : address.Contains(':', StringComparison.Ordinal) ? $"[{address}]:{port}" : $"{address}:{port}";

    // Docker's short form: 12 digits after the algorithm.
    private static string Short(string id)
    {
        string hex = id.StartsWith("sha256:", StringComparison.Ordinal) ? id["sha256:".Length..] : id;
        return hex.Length > 12 ? hex[..12] : hex;
    }

    private static string Quote(string argument)
        => argument.Length > 0 && !argument.AsSpan().ContainsAny(ShellWords) ? argument : $"'{argument.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
