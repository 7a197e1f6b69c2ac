using System.Text;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Indicators;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Images;

/// <summary>Containers made from images whose builds were not clean, from the moment the engine writes them down.</summary>
/// <remarks>
/// A container is watched for the operator's time window: a build may be judged after its image was run, and what the
/// container reaches meanwhile belongs to the story. One image, one finding; each further container updates it.
/// </remarks>
internal sealed class DeployTracker(CoreState state, BuildRegistry builds, ImageTaint taint, FindingBook book, IndicatorDetector indicators)
{
    private const int MaximumWatched = 1024;
    private const int MaximumPrograms = 16;
    private const long LookAgain = Stamp.Second;

    private readonly Dictionary<string, Watched> _watched = new(StringComparer.Ordinal);
    private Stamp _looked;

    public void Learn(ContainerFact fact, Stamp at)
    {
        if (state.Ready is null || fact.ImageId.Length == 0)
        {
            return;
        }

        if (!_watched.TryGetValue(fact.ContainerId, out Watched? watched))
        {
            if (fact.Finished && !fact.Running)
            {
                // An old container, written down again because it ended.
                return;
            }

            if (_watched.Count >= MaximumWatched)
            {
                _ = _watched.Remove(_watched.Values.MinBy(static w => w.At.Boot)!.Fact.ContainerId);
            }

            indicators.JudgeContainer(fact, at);
            watched = new Watched(fact, at) { Session = SessionAt(fact.Engine, at) };
            _watched[fact.ContainerId] = watched;
        }

        // A container that is being removed is read without what the engine wrote of its privileges: what was known stays.
        if (fact.NetworkMode.Length > 0 || watched.Fact.NetworkMode.Length == 0)
        {
            watched.Fact = fact;
        }

        watched.Session ??= SessionAt(fact.Engine, at);
        Judge(watched, at);
    }

    /// <summary>An ordinary container reached out.</summary>
    /// <returns>True when it is one of ours: then nobody learns from it.</returns>
    public bool On(ContainerScope scope, PendingEgress attempt, Stamp at)
    {
        if (!_watched.TryGetValue(scope.ContainerId, out Watched? watched) || watched.Deployment is not { } deployment)
        {
            return false;
        }

        Egress? egress = scope.NewEgress.Find(e => e.Destination == attempt.Destination);
        bool asItsBuild = watched.Stories.Any(s => s.Destinations.Contains(attempt.Destination.ToString()));
        if (egress is null && asItsBuild)
        {
            egress = new Egress(attempt.Destination, attempt.At) { Process = attempt.Process, Path = attempt.Path, Novelty = Novelty.Known };
            egress.Add(attempt.Outcome, attempt.Errno, attempt.At);
        }

        if (egress is not null && deployment.Add(egress))
        {
            Tell(watched, at);
        }

        return true;
    }

    public void OnProgram(ProcessNode node, Stamp at)
    {
        if (node.Scope is not ContainerScope { Step: null } scope || !_watched.TryGetValue(scope.ContainerId, out Watched? watched)
            || watched.Programs.Count >= MaximumPrograms)
        {
            return;
        }

        watched.Programs.Add(node.ExeText);
        if (Files.Interpreter.ScriptOf(node.Exe, node.Arguments) is { IsEmpty: false } script)
        {
            watched.Programs.Add(Encoding.UTF8.GetString(script));
        }

        if (MatchPrograms(watched))
        {
            Tell(watched, at);
        }
    }

    public void OnTick(Stamp at)
    {
        if (at.Since(_looked) < LookAgain)
        {
            return;
        }

        _looked = at;
        foreach (Watched watched in _watched.Values.ToList())
        {
            if (at.Since(watched.At) > state.Policy.TimeWindow)
            {
                _ = _watched.Remove(watched.Fact.ContainerId);
            }
            else
            {
                Judge(watched, at);
            }
        }
    }

    private void Judge(Watched watched, Stamp at)
    {
        IReadOnlyList<BuildStory> stories = taint.StoriesOf(watched.Fact.ImageId);
        if (stories.Count == 0)
        {
            return;
        }

        (IReadOnlyList<string> risks, bool breaks) = ContainerRisks.Of(watched.Fact, state.Engines.GetValueOrDefault(watched.Fact.Engine));
        Deployment? deployment = watched.Deployment;
        if (deployment is not null && watched.Stories.SequenceEqual(stories) && deployment.Risks.SequenceEqual(risks))
        {
            return;
        }

        deployment ??= new Deployment(watched.Fact, watched.At);
        watched.Deployment = deployment;
        watched.Stories = stories;
        deployment.Name = watched.Fact.Name;
        (deployment.Risks, deployment.Breaks) = (risks, breaks);
        if (watched.Session is { } session)
        {
            deployment.Client = session.Address is { } address
                ? new BuildClient(1, session.Tls ? Transport.Tls : Transport.Tcp, address, session.Port, null, "it asked the engine for something just then")
                : new BuildClient(1, Transport.Unix, null, 0, session.Snapshot, "its command line makes a container");
            deployment.SameClient = stories.Any(s => session.Address is { } from
                ? s.Address == from.ToString()
                : s.Address.Length == 0 && s.Uid is { } uid && session.Snapshot?.Uid == uid);
        }

        _ = MatchPrograms(watched);
        Tell(watched, at);
    }

    private static bool MatchPrograms(Watched watched)
    {
        bool found = false;
        foreach (string program in watched.Deployment is null ? [] : watched.Programs)
        {
            found |= watched.Stories.Any(s => s.Files.Any(f => f.Path == program)) && watched.Deployment!.Add(program);
        }

        return found;
    }

    private void Tell(Watched watched, Stamp at)
    {
        BuildStory gravest = watched.Stories[0];
        Deployment deployment = watched.Deployment!;
        Build? build = builds.Active.Concat(builds.Recent).LastOrDefault(b => b.Id == gravest.BuildId);
        Finding finding = book.OfHost(DetectorDefinition.TaintedImageDeployed, watched.Fact.ImageId, at, build);
        List<Watched> others = [.. _watched.Values.Where(w => w.Deployment is not null && w.Fact.ImageId == watched.Fact.ImageId && w.At.Boot >= finding.First.Boot - watched.Span)
            .OrderBy(static w => w.At.Boot)];
        Severity severity = DeployWording.SeverityOf(gravest, deployment);
        finding.StoryBuildId = gravest.BuildId;
        finding.ImageId = watched.Fact.ImageId;
        if (severity >= finding.Severity)
        {
            finding.Severity = severity;
            finding.ContainerId = deployment.ContainerId;
            finding.Step ??= build?.Steps.FirstOrDefault(s => s.Instruction == gravest.Step);
            finding.Message = DeployWording.Message(gravest, deployment, watched.Stories.Count - 1);
        }

        finding.ReplaceAll(DeployWording.EvidenceOf(watched.Stories, [.. others.Select(static w => w.Deployment!)]));
        book.Changed(finding, at);
        build?.Add(deployment);
        if (build is not null)
        {
            build.Dirty = true;
        }
    }

    // Who asks the engine for something at that moment; a command line that makes containers first.
    private ClientSession? SessionAt(int engine, Stamp at)
        => state.Clients.Sessions
            .Where(s => s.Engine == engine && s.First.Boot <= at.Boot && s.AliveAt(at, 2 * Stamp.Second) && at.Since(s.Last) < 10 * Stamp.Second && Rank(s) < 3)
            .OrderBy(Rank).ThenByDescending(static s => s.Last.Boot)
            .FirstOrDefault();

    private static int Rank(ClientSession session)
        => session.Command.Verb is "run" or "create" or "start" or "up" or "restart" ? 0
        : session.Address is not null ? 1
        : session.Command.Intent == ClientIntent.Unknown ? 2
        : 3;

    private sealed class Watched(ContainerFact fact, Stamp at)
    {
        public ContainerFact Fact { get; set; } = fact;

        public Stamp At { get; } = at;

        /// <summary>Containers of one image made this far apart are told together.</summary>
        public long Span { get; } = 5 * 60 * Stamp.Second;

        public ClientSession? Session { get; set; }

        public Deployment? Deployment { get; set; }

        public IReadOnlyList<BuildStory> Stories { get; set; } = [];

        public List<string> Programs { get; } = [];
    }
}
