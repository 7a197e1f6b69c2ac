using Google.Protobuf.WellKnownTypes;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.Detection;
using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Text;
using Builds = ImageSentinel.Detection.Builds;
using Clients = ImageSentinel.Detection.Clients;
using Detectors = ImageSentinel.Detection.Detectors;
using Files = ImageSentinel.Detection.Files;
using History = ImageSentinel.Detection.History;
using Images = ImageSentinel.Detection.Images;
using Processes = ImageSentinel.Detection.Processes;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>Domain → wire. The one place where domain enums meet the protocol's; secrets in command lines stop here.</summary>
internal sealed class ProtoMapper(CoreState state, CoverageTable coverage)
{
    private const int AncestorCommand = 160;

    public V1.OutputRecord Build(Builds.Build build) => new() { Build = MapBuild(build) };

    public V1.OutputRecord Finding(Detectors.Finding finding, Stamp at) => new() { Finding = MapFinding(finding, at) };

    public V1.Coverage Coverage(Stamp at)
    {
        V1.Coverage message = coverage.Snapshot(at);
        message.Host = Host();
        message.Baseline = Baseline(at);
        return message;
    }

    public V1.HostInfo Host() => state.Host is { } host
        ? new V1.HostInfo
        {
            Hostname = host.Hostname,
            HostId = host.HostId,
            BootId = host.BootId,
            KernelRelease = host.KernelRelease,
            AgentVersion = host.AgentVersion,
        }
        : new V1.HostInfo();

    public V1.BaselineState Baseline(Stamp at)
    {
        BaselineMode mode = state.Baseline.Mode;
        return new V1.BaselineState
        {
            Mode = state.Baseline.IsLearning(at.Time) ? "learning" : "enforcing",
            LearningSince = Timestamp.FromDateTimeOffset(mode.LearningSince),
            EnforcingFrom = Timestamp.FromDateTimeOffset(mode.EnforcingFrom),
            Destinations = (ulong)state.Baseline.Seen.Count,
        };
    }

    private static Timestamp Time(Stamp stamp) => Timestamp.FromDateTimeOffset(stamp.Time);

    private static string Clean(string text) => Redactor.Redact(text);

    // Ancestors are context: who they are counts, not all they were told.
    private static string Short(string command) => command.Length <= AncestorCommand ? command : command[..AncestorCommand] + "…";

    private V1.Build MapBuild(Builds.Build build)
    {
        var message = new V1.Build
        {
            Id = build.Id,
            Builder = (V1.Builder)build.Builder,
            State = build.Active ? V1.BuildState.Started : V1.BuildState.Ended,
            Verdict = (V1.Verdict)build.Verdict,
            Result = (V1.BuildResult)build.Result,
            StartTime = Time(build.Started),
            EndTime = build.Ended is { } ended ? Time(ended) : null,
            Coverage = coverage.Of(build),
            Host = Host(),
            BuilderContainerId = build.BuilderContainer,
            History = build.Record is { } record ? Record(record) : null,
            EngineSocket = state.Engines.TryGetValue(build.Engine, out EngineFact? engine) ? engine.Socket : "",
        };
        message.Clients.AddRange(build.Clients.Select(Client));
        message.BaseImages.AddRange(build.BaseImages);
        if (build.ImageId.Length > 0 || build.Tags.Count > 0)
        {
            message.Image = new V1.BuildImage { Id = build.ImageId };
            message.Image.Tags.AddRange(build.Tags);
        }

        message.Steps.AddRange(build.Steps.Select(Step));
        message.DaemonFetches.AddRange(build.Fetches.Select(f => new V1.DaemonFetch
        {
            Kind = f.Kind,
            What = Clean(f.What),
            Egress = Egress(f.Egress),
            Ambiguous = f.Ambiguous,
        }));
        message.FindingUids.AddRange(build.Findings.Select(static f => f.Uid));
        message.Notes.AddRange(build.Notes);
        message.Containers.AddRange(build.Deployments.Select(Container));
        message.Origins.AddRange(build.Origins.Select(Origin));
        return message;
    }

    private static V1.BuildHistoryRecord Record(History.BuildRecord record)
    {
        var message = new V1.BuildHistoryRecord
        {
            Ref = record.Ref,
            State = record.Deleted is not null ? "deleted" : record.CompletedWall != 0 ? "complete" : "active",
            Error = Clean(record.Error),
            CachedSteps = (uint)Math.Max(0, record.CachedSteps),
            TotalSteps = (uint)Math.Max(0, record.TotalSteps),
        };
        foreach (BuildAttribute attribute in record.Attributes)
        {
            message.Attributes[attribute.Name] = Clean(attribute.Value);
        }

        message.Names.AddRange(record.Names);
        return message;
    }

    private V1.BuildStep Step(Builds.BuildStep step)
    {
        var message = new V1.BuildStep
        {
            Id = step.Id,
            Index = (uint)step.Index,
            Total = (uint)step.Total,
            Instruction = Clean(step.Instruction),
            EgressNotListed = (ulong)step.EgressBeyond,
            Kind = (V1.StepKind)step.Kind,
            StartTime = Time(step.Started),
            EndTime = step.Ended is { } ended ? Time(ended) : null,
            Cached = step.Cached,
            Network = (V1.StepNetwork)step.Network,
            Layer = step.Layer,
            ContainerId = step.ContainerId,
        };
        if (step.ExitCode is { } code)
        {
            message.ExitCode = code;
        }

        message.Egress.AddRange(step.Egress.Where(static e => !e.AddressOnly).Select(Egress));
        message.Files.AddRange(step.Files.Told.Select(File));
        message.FilesWritten = (ulong)step.Files.Count;
        message.FilesNotListed = (ulong)step.Files.NotListed;
        message.FilesNotLookedAt = (ulong)step.Files.NotLookedAt;
        return message;
    }

    private V1.DeployedContainer Container(Images.Deployment deployment)
    {
        var message = new V1.DeployedContainer
        {
            Id = deployment.ContainerId,
            Name = deployment.Name,
            Image = deployment.Image,
            ImageId = deployment.ImageId,
            Time = Time(deployment.At),
            Client = deployment.Client is { } client ? Client(client) : null,
            SameClient = deployment.SameClient,
        };
        message.Risks.AddRange(deployment.Risks);
        message.Programs.AddRange(deployment.Programs);
        message.Egress.AddRange(deployment.Egress.Select(Egress));
        return message;
    }

    private static V1.TaintOrigin Origin(Images.BuildStory story)
    {
        var message = new V1.TaintOrigin
        {
            BuildId = story.BuildId,
            Verdict = (V1.Verdict)story.Verdict,
            Time = Timestamp.FromDateTimeOffset(story.Time),
            Requester = Clean(story.Requester),
            Step = Clean(story.Step),
        };
        message.Tags.AddRange(story.Tags);
        message.Destinations.AddRange(story.Destinations);
        message.FindingUids.AddRange(story.Findings);
        return message;
    }

    private V1.FileArtifact File(Files.StepFile file) => new()
    {
        Path = file.Path,
        Size = (ulong)Math.Max(0, file.Size),
        Sha256 = file.Sha256,
        Kind = (V1.FileKind)file.Kind,
        Executed = file.Executed,
        Layer = file.Layer,
        Process = file.WrittenBy is { } writer ? Process(writer) : null,
        Time = Time(file.First),
        Note = file.Note,
        Mode = file.Mode,
        Removed = file.Removed,
        Persistence = Files.Persistence.Word(file.Persistence),
        From = file.From is { } from ? from.Destination.ToString() : "",
        Indicator = file.Indicator,
    };

    private V1.Egress Egress(Builds.Egress egress)
    {
        var message = new V1.Egress
        {
            Address = egress.Destination.Address.ToString(),
            Port = egress.Destination.Port,
            Protocol = (V1.EgressProtocol)egress.Destination.Protocol,
            Outcome = (V1.EgressOutcome)egress.Outcome,
            Path = (V1.EgressPath)egress.Path,
            Novelty = (V1.Novelty)egress.Novelty,
            Process = egress.Process is { } process ? Process(process) : null,
            BytesSent = egress.BytesSent,
            BytesReceived = egress.BytesReceived,
            StartTime = Time(egress.First),
            Attempts = (uint)egress.Attempts,
            Reason = egress.Reason,
            Errno = (uint)egress.Errno,
            Indicator = egress.Indicator,
            NameNote = NameNote(egress),
            DurationMs = (ulong)Math.Max(0, egress.Duration / Stamp.Millisecond),
        };
        message.Names.AddRange(egress.Names.Select(static n => new V1.EgressName { Name = n.Name, Source = n.Source.ToString().ToLowerInvariant() }));
        return message;
    }

    // A reader must be able to tell "it has no name" from "nobody looked".
    private string NameNote(Builds.Egress egress)
    {
        if (egress.Names.Count > 0 || !state.Sensors.TryGetValue("names", out SensorFact? names))
        {
            return "";
        }

        return names.Health == "active"
            ? egress.Destination.Port == 853 ? "not visible: an encrypted resolver" : "not visible: no answer, hello or request of the step named it"
            : "not visible: the names sensor is not reading";
    }

    private V1.BuildClient Client(Clients.BuildClient client) => new()
    {
        Confidence = client.Confidence,
        Transport = client.Transport.ToString().ToLowerInvariant(),
        Address = client.Address?.ToString() ?? "",
        Port = client.Port,
        Process = client.Process is { } process ? Process(process) : null,
        Reason = client.Reason,
        Origin = client.Process is { } from ? Clients.ClientOrigin.Of(from) : "",
        Requests = { client.Requests.Select(Clean) },
    };

    private V1.ProcessInfo Process(Processes.ProcessSnapshot process)
    {
        var message = new V1.ProcessInfo
        {
            Pid = (uint)process.Pid,
            StartTime = Time(process.Started),
            User = state.UserName(process.Uid),
            LoginUser = process.LoginUid == uint.MaxValue ? "" : state.UserName(process.LoginUid),
            Session = process.Session,
            Exe = process.Exe,
            ContainerId = process.ContainerId,
            Cwd = process.Cwd,
            Uid = process.Uid,
            Gid = process.Gid,
            Auid = process.LoginUid,
        };
        message.Args.AddRange(Redactor.RedactArguments(process.Arguments));
        message.Ancestors.AddRange(process.Ancestors.Select(a => new V1.ProcessAncestor
        {
            Pid = (uint)a.Pid,
            Exe = a.Exe,
            Command = Short(Clean(string.Join(' ', a.Arguments))),
        }));
        return message;
    }

    private V1.Finding MapFinding(Detectors.Finding finding, Stamp at)
    {
        var message = new V1.Finding
        {
            Uid = finding.Uid,
            Activity = (V1.Activity)finding.Activity,
            Detector = finding.Detector.Id,
            Title = finding.Title,
            Message = Clean(finding.Message),
            Severity = (V1.Severity)finding.Severity,
            Confidence = finding.Confidence,
            BuildId = finding.BuildId,
            StepId = finding.Step?.Id ?? "",
            ImageId = finding.ImageId.Length > 0 ? finding.ImageId : finding.Build?.ImageId ?? "",
            ContainerId = finding.ContainerId.Length > 0 ? finding.ContainerId : finding.Step is { ContainerId.Length: > 0 } step ? step.ContainerId : finding.Build?.BuilderContainer ?? "",
            Coverage = finding.Build is { } build ? coverage.Of(build) : Coverage(at),
            Time = Time(at),
            StartTime = Time(finding.First),
            EndTime = Time(finding.Last),
            Host = Host(),
        };
        message.Techniques.AddRange(finding.Detector.Techniques.Select(AttackTable.Find));
        message.Mitigations.AddRange(finding.Detector.Mitigations.Select(AttackTable.Mitigation));
        message.Evidence.AddRange(finding.Evidence.Select(e => new V1.Evidence
        {
            Time = Time(e.At),
            Summary = Clean(e.Summary),
            Process = e.Process is { } process ? Process(process) : null,
            Egress = e.Egress is { } egress ? Egress(egress) : null,
            Client = e.Client is { } client ? Client(client) : null,
            File = e.File is { } file ? File(file) : null,
            Container = e.Deployment is { } deployment ? Container(deployment) : null,
        }));
        message.NextSteps.AddRange(NextSteps.For(finding));
        return message;
    }
}
