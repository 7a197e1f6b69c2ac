using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Clients;

/// <summary>Who is connected to the engines, and which of them most likely asked for a build.</summary>
/// <remarks>
/// No single fact names the requester (the engine never records it), so facts are weighed: a connection open when the
/// build began, a command line that builds, the Dockerfile it names, the tag that came out, and an end that coincides.
/// When two remain close, both are told.
/// </remarks>
public sealed class ClientTracker
{
    private const int MaximumSessions = 4096;
    /// <summary>Candidates told of one build.</summary>
    internal const int MaximumTold = 8;


    // A client connects before its build shows: up to 0.5 s for a CLI, longer while a context is uploaded.
    private const long FreshWindow = 15 * Stamp.Second;
    private const long EndSlack = 150 * Stamp.Millisecond;

    private readonly List<ClientSession> _sessions = [];

    public IReadOnlyList<ClientSession> Sessions => _sessions;

    public ClientSession Connect(int engine, ProcessNode process, Stamp at)
    {
        ProcessNode leader = LeaderOf(process);
        ClientSession? session = _sessions.Find(s => s.Engine == engine && ReferenceEquals(s.Process, leader));
        if (session is null)
        {
            session = new ClientSession(engine, at) { Process = leader };
            Add(session);
        }

        session.Connections++;
        session.Last = at;
        Refresh(session);

        // A plugin's own command line is as telling as its leader's.
        if (session.Command.Intent != ClientIntent.Build && !ReferenceEquals(process, leader))
        {
            ClientCommand own = ClientCommand.Parse(process.ArgumentList());
            session.Command = own.Intent == ClientIntent.Build ? own : session.Command;
        }

        return session;
    }

    public ClientSession Accept(int engine, NetAddress address, ushort port, bool tls, Stamp at)
    {
        ClientSession? session = _sessions.Find(s => s.Engine == engine && s.Process is null && s.Address == address
            && at.Since(s.Last) < 10 * 60 * Stamp.Second);
        if (session is null)
        {
            session = new ClientSession(engine, at) { Address = address };
            Add(session);
        }

        session.Connections++;
        session.Last = at;
        session.Port = port;
        session.Tls = tls;
        return session;
    }

    /// <summary>A process of this host, or of one of its containers, came in over TCP.</summary>
    public ClientSession ConnectOverTcp(int engine, ProcessNode process, NetAddress address, ushort port, bool tls, Stamp at)
    {
        ClientSession session = Connect(engine, process, at);
        session.Address = address;
        session.Port = port;
        session.Tls = tls;
        return session;
    }

    /// <summary>One connection of a session turned out to be somebody else's.</summary>
    internal void Leave(ClientSession session)
    {
        session.Connections--;
        if (session.Connections <= 0)
        {
            _ = _sessions.Remove(session);
        }
    }

    /// <summary>Takes the process as it is now; called again when its arguments become known.</summary>
    public static void Refresh(ClientSession session)
    {
        if (session.Process is { } process)
        {
            session.Snapshot = ProcessSnapshot.Of(process);
            ClientCommand command = ClientCommand.Parse(session.Snapshot.Arguments);
            session.Command = command.Intent == ClientIntent.Unknown && command.Verb.Length == 0 ? session.Command : command;
        }
    }

    /// <summary>The session of a remote address, best the one with that port.</summary>
    public ClientSession? FindByAddress(int engine, NetAddress address, ushort port)
        => _sessions.FindLast(s => s.Engine == engine && s.Address == address && s.Port == port)
            ?? _sessions.FindLast(s => s.Engine == engine && s.Address == address);

    public ClientSession? FindByPid(int pid) => _sessions.FindLast(s => s.Process?.Key.Pid == pid);

    /// <summary>Sessions that could be behind something that shows at <paramref name="at"/>.</summary>
    public IEnumerable<ClientSession> Eligible(int engine, Stamp at)
        => _sessions.Where(s => s.Engine == engine
            && s.First.Boot <= at.Boot + (100 * Stamp.Millisecond)
            && s.AliveAt(at, EndSlack)
            && s.Command.Intent != ClientIntent.Other);

    /// <summary>Sessions whose command line names this context (a URL).</summary>
    public ClientSession? FindByContext(int engine, string url)
        => _sessions.FindLast(s => s.Engine == engine && s.Command.Context.Length > 0 && url.Length > 0
            && (s.Command.Context == url || s.Command.Context.StartsWith(url + "#", StringComparison.Ordinal)));

    /// <summary>Weighs all candidates of a build, best first. Empty when nobody was seen to connect.</summary>
    public IReadOnlyList<(ClientSession Session, double Score, string Reason)> Weigh(Build build, IReadOnlyList<Build> others)
    {
        var candidates = new List<(ClientSession Session, double Score, string Reason)>();
        foreach (ClientSession session in _sessions)
        {
            if (session.Engine != build.Engine
                || session.First.Boot > build.Started.Boot + (100 * Stamp.Millisecond)
                || !session.AliveAt(build.Started, EndSlack))
            {
                continue;
            }

            (double score, string reason) = Score(session, build, others);
            candidates.Add((session, score, reason));
        }

        candidates.Sort(static (a, b) => b.Score != a.Score
            ? b.Score.CompareTo(a.Score)
            : b.Session.Last.Boot.CompareTo(a.Session.Last.Boot));
        return candidates;
    }

    /// <summary>The clients to report: the best alone when it stands out, else all that come close, with their shares.</summary>
    public IReadOnlyList<BuildClient> Choose(Build build, IReadOnlyList<Build> others)
    {
        IReadOnlyList<(ClientSession Session, double Score, string Reason)> weighed = Weigh(build, others);
        if (weighed.Count == 0)
        {
            return [];
        }

        double best = weighed[0].Score;
        List<(ClientSession Session, double Score, string Reason)> close = OneRelayEach([.. weighed.Where(c => best - c.Score < 3)]);
        double total = close.Sum(c => Math.Pow(2, c.Score - best));
        return [.. close.Select(c => ToClient(c.Session, build, Math.Round(Math.Pow(2, c.Score - best) / total, 2), c.Reason))];
    }

    // docker -H ssh:// opens an SSH connection, and so a relay, for each of a build's connections: they are one client.
    private static List<(ClientSession Session, double Score, string Reason)> OneRelayEach(List<(ClientSession Session, double Score, string Reason)> close)
    {
        var kept = new List<(ClientSession Session, double Score, string Reason)>();
        foreach ((ClientSession Session, double Score, string Reason) candidate in close)
        {
            bool another = candidate.Session is { Command.Verb: ClientCommand.Relay, Snapshot: { } process }
                && kept.Exists(k => k.Session is { Command.Verb: ClientCommand.Relay, Snapshot: { } first }
                    && (first.Uid, first.LoginUid) == (process.Uid, process.LoginUid));
            if (!another && kept.Count < MaximumTold)
            {
                kept.Add(candidate);
            }
        }

        return kept;
    }

    public void Expire(Stamp now)
        => _sessions.RemoveAll(s => (s.Ended is { } ended && now.Since(ended) > 15 * 60 * Stamp.Second)
            || (s.Address is not null && now.Since(s.Last) > 60 * 60 * Stamp.Second));

    private static BuildClient ToClient(ClientSession session, Build build, double confidence, string reason)
    {
        if (session.Address is not { } address)
        {
            return new BuildClient(confidence, Transport.Unix, null, 0, session.Snapshot, reason);
        }

        // What the same client asked long before, or after, is another matter.
        List<ApiRequest> requests = [.. session.Requests.Where(r => r.At.Boot > build.Started.Boot - FreshWindow
            && (build.Ended is not { } ended || r.At.Boot < ended.Boot))];
        ushort port = requests.FindLast(static r => ClientCommand.OfRequest(r.Text).Intent == ClientIntent.Build)?.Port ?? session.Port;
        return new BuildClient(confidence, session.Tls ? Transport.Tls : Transport.Tcp, address, port, session.Snapshot, reason)
        {
            Requests = [.. requests.Select(static r => r.Text)],
        };
    }

    private static (double Score, string Reason) Score(ClientSession session, Build build, IReadOnlyList<Build> others)
    {
        double score = 0;
        var reasons = new List<string>();
        string verb = build.Builder switch { Builder.Commit => "commit", Builder.Import => "import", Builder.Load => "load", _ => "" };
        if (verb.Length > 0)
        {
            bool same = session.Command.Verb == verb;
            score += same ? 8 : session.Command.Intent == ClientIntent.Unknown ? 0 : -6;
            reasons.Add(same ? $"what it asks is a {verb}" : "what it asks is something else");
        }
        else if (session.Command.Intent == ClientIntent.Build)
        {
            score += 4;
            reasons.Add(session.Requests.Count > 0 ? "its request builds an image" : "its command line builds an image");
        }
        else if (session.Command.Intent == ClientIntent.Other)
        {
            score -= 6;
            reasons.Add("its command line does something else");
        }

        if (build.Tags.Count > 0 && session.Command.Tags.Count > 0)
        {
            bool same = session.Command.Tags.Any(t => build.Tags.Contains(t));
            score += same ? 8 : -6;
            reasons.Add(same ? "it named the tag that came out" : "it named another tag");
        }

        if (build.Dockerfile is { } dockerfile && session.Dockerfile is { } own)
        {
            bool same = dockerfile.SameAs(own);
            score += same ? 8 : -8;
            reasons.Add(same ? "it sent this Dockerfile" : "it sent another Dockerfile");
        }

        if (session.Ended is { } gone && gone.Boot < build.Started.Boot)
        {
            score -= 4;
            reasons.Add("it had already ended");
        }

        if (session is { Reads: true, Command.Intent: ClientIntent.Unknown })
        {
            score -= 6;
            reasons.Add("all that was seen of its requests only reads");
        }

        if (session.Command.Verb == ClientCommand.Relay)
        {
            reasons.Add("it relays for whoever is at its other end");
        }

        long age = build.Started.Boot - session.First.Boot;
        if (age < FreshWindow)
        {
            score += 2;
            reasons.Add("it connected just before the build began");
        }
        else if (build.Started.Boot - session.Last.Boot > FreshWindow)
        {
            score -= 2;
            reasons.Add("it had been connected for long");
        }

        if (build.Ended is { } buildEnd && session.Ended is { } clientEnd && Math.Abs(clientEnd.Boot - buildEnd.Boot) < 3 * Stamp.Second)
        {
            score += 2;
            reasons.Add("it ended with the build");
        }

        if (others.Any(o => o.PrimarySession == session && o.Ended is { } over && over.Boot <= build.Started.Boot + EndSlack && session.Last.Boot < over.Boot))
        {
            score -= 5;
            reasons.Add("it had its build, and has not connected since");
        }

        // One client asks for one build at a time, unless nothing else explains this one.
        if (others.Any(o => o.Active && !ReferenceEquals(o, build) && o.PrimarySession == session
            && (o.Dockerfile is null || build.Dockerfile is null || !o.Dockerfile.SameAs(build.Dockerfile))))
        {
            score -= 3;
            reasons.Add("another build is its");
        }

        return (score, string.Join("; ", reasons));
    }

    // docker starts docker-buildx and docker-compose as plugins; a person knows the command that was typed.
    private static ProcessNode LeaderOf(ProcessNode process)
    {
        ProcessNode leader = process;
        while (leader.Parent is { } parent && parent.Ended is null && IsDockerCommand(parent))
        {
            leader = parent;
        }

        return leader;
    }

    private static bool IsDockerCommand(ProcessNode node)
    {
        ReadOnlySpan<byte> exe = node.Exe;
        exe = exe[(exe.LastIndexOf((byte)'/') + 1)..];
        return exe.SequenceEqual("docker"u8) || exe.SequenceEqual("docker-compose"u8) || exe.SequenceEqual("docker-buildx"u8);
    }

    private void Add(ClientSession session)
    {
        if (_sessions.Count >= MaximumSessions)
        {
            // Whoever ended, else whoever has been quiet for longest and does not say that it builds: a flood of
            // connections must not make us forget the one that counts.
            int victim = _sessions.FindIndex(static s => s.Ended is not null);
            if (victim < 0)
            {
                victim = _sessions.IndexOf(_sessions.MinBy(static s => (s.Command.Intent == ClientIntent.Build, s.Last.Boot))!);
            }

            _sessions.RemoveAt(victim);
        }

        _sessions.Add(session);
    }
}
