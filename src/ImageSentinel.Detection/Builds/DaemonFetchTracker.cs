using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Indicators;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Names;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Builds;

/// <summary>Gives the engine's own connections to the builds that explain them.</summary>
/// <remarks>
/// The engine fetches before, between and after steps, from the host's own network; no record ties a connection to a
/// build. What does: the address in an ADD or FROM line, git among the engine's children, or nothing else being there.
/// What no build explains within <see cref="Patience"/> was a client's wish, a pull say, and is as new as a container's.
/// </remarks>
internal sealed class DaemonFetchTracker(CoreState state, BuildRegistry builds, NeverSeenEgressDetector detector, NameTracker names, IndicatorDetector indicators)
{
    private const long Patience = 4 * Stamp.Second;
    private const long Lead = 3 * Stamp.Second;
    private const int MaximumWaiting = 256;
    private const int MaximumFetches = 64;

    private readonly List<UnclaimedFetch> _waiting = [];

    public void On(int engine, PendingEgress attempt, Stamp at)
    {
        if (state.Baseline.IsNoise(attempt.Destination, out _) || attempt.AddressOnly || IsNameQuery(attempt.Destination))
        {
            return;
        }

        if (_waiting.Count >= MaximumWaiting)
        {
            // Whose this one is will not be known.
            foreach (Build build in builds.Active.Where(b => b.Engine == engine))
            {
                build.Blind = true;
            }

            return;
        }

        var fetch = new UnclaimedFetch(engine, attempt.At, attempt.Destination, attempt.Process, attempt.Outcome, attempt.Errno);
        if (!TryClaim(fetch, at, final: false))
        {
            _waiting.Add(fetch);
        }
    }

    /// <summary>A builder without a daemon reached out itself: there is no question for which build.</summary>
    public void OfBuilder(Build build, PendingEgress attempt, Stamp at)
    {
        if (state.Baseline.IsNoise(attempt.Destination, out _) || attempt.AddressOnly || IsNameQuery(attempt.Destination))
        {
            return;
        }

        (string kind, string what) = GitUrl(attempt.Process) is { } url ? ("git", url)
            : Explain(build, attempt.Destination) ?? (build.Dockerfile is null ? "remote" : "pull", "");
        var fetch = new UnclaimedFetch(build.Engine, attempt.At, attempt.Destination, attempt.Process, attempt.Outcome, attempt.Errno);
        Attach(build, new DaemonFetch(kind, what, ToEgress(fetch), false), at);
    }

    public void OnTick(Stamp at)
    {
        for (int i = _waiting.Count - 1; i >= 0; i--)
        {
            UnclaimedFetch fetch = _waiting[i];
            bool final = at.Since(fetch.At) > Patience;
            if (TryClaim(fetch, at, final))
            {
                _waiting.RemoveAt(i);
            }
            else if (final)
            {
                _waiting.RemoveAt(i);
                state.Baseline.LearnFromContainer(fetch.Destination, at);
            }
        }
    }

    // The engine asks for its containers whatever server they name. Nothing is fetched over UDP; over TCP anything may be.
    private bool IsNameQuery(Destination destination)
        => destination.Port == 53 && (destination.Protocol == EgressProtocol.Udp || state.Baseline.IsResolver(destination.Address));

    private bool TryClaim(UnclaimedFetch fetch, Stamp at, bool final)
    {
        List<Build> near = [.. builds.Active.Concat(builds.Recent.Where(b => b.Ended is { } ended && ended.Boot >= fetch.At.Boot))
            .Where(b => b.Engine == fetch.Engine && b.Started.Boot <= fetch.At.Boot + Lead)];
        if (GitUrl(fetch.Process) is { } url)
        {
            ClientSession? asker = state.Clients.FindByContext(fetch.Engine, url);
            Build? build = near.Find(b => asker is not null && ReferenceEquals(b.PrimarySession, asker)) ?? (asker is null || final ? near.LastOrDefault() : null);
            if (build is null)
            {
                return false;
            }

            Attach(build, new DaemonFetch("git", url, ToEgress(fetch), !ReferenceEquals(build.PrimarySession, asker) && near.Count > 1), at);
            return true;
        }

        foreach (Build build in near)
        {
            if (Explain(build, fetch.Destination) is { } explained)
            {
                Attach(build, new DaemonFetch(explained.Kind, explained.What, ToEgress(fetch), false), at);
                return true;
            }
        }

        // Nothing in a text names this address: a name stands for it, or a remote context came from there.
        if (!final || near.Count == 0)
        {
            return false;
        }

        Build last = near[^1];
        bool other = state.Clients.Sessions.Any(s => s.Engine == fetch.Engine && s.Command.Intent == ClientIntent.Other
            && Math.Abs(s.Last.Boot - fetch.At.Boot) < Lead);
        bool remote = last.PrimarySession is { Command.Context: var context } && context.Contains("://", StringComparison.Ordinal);
        string kind = remote || last.Dockerfile is null || fetch.At.Boot < last.Started.Boot ? "remote" : "pull";
        Attach(last, new DaemonFetch(kind, remote ? last.PrimarySession!.Command.Context : "", ToEgress(fetch), other || near.Count > 1), at);
        return true;
    }

    private void Attach(Build build, DaemonFetch fetch, Stamp at)
    {
        if (build.Fetches.Count >= MaximumFetches && state.Baseline.Judge(fetch.Egress.Destination, at.Time).Novelty != Novelty.Known)
        {
            build.Blind = true;
        }

        if (build.Fetches.Count >= MaximumFetches || build.Fetches.Any(f => f.Egress.Destination == fetch.Egress.Destination && f.Kind == fetch.Kind))
        {
            return;
        }

        build.Add(fetch);
        IReadOnlyList<string> proven = names.OfHost(fetch.Egress, at);
        Judgement judgement = state.Baseline.Judge(fetch.Egress.Destination, at.Time, proven);
        fetch.Egress.Novelty = judgement.Novelty;
        fetch.Egress.Reason = judgement.Reason;

        indicators.Judge(build, fetch, at);

        // What somebody else's pull may have caused is told in the record, and wakes nobody.
        if (!fetch.Ambiguous)
        {
            detector.Judge(build, fetch, judgement.AddressKnown, at);
        }

        if (state.Baseline.IsLearning(at.Time) && (state.Policy.TrustedClients.Count == 0 || Trust.IsTrusted(build, state)))
        {
            state.Baseline.Learn(fetch.Egress.Destination, at, proven);
        }

        build.Dirty = true;
    }

    private static Egress ToEgress(UnclaimedFetch fetch)
    {
        var egress = new Egress(fetch.Destination, fetch.At) { Process = fetch.Process, Path = EgressPath.Syscall };
        egress.Add(fetch.Outcome, fetch.Errno, fetch.At);
        return egress;
    }

    // git-remote-http(s) is three levels below the daemon; its last argument is the URL.
    private static string? GitUrl(ProcessSnapshot process)
    {
        bool git = process.Exe.Contains("/git", StringComparison.Ordinal)
            || (process.Arguments.Count > 0 && process.Arguments[0].Contains("git", StringComparison.Ordinal));
        return git ? process.Arguments.LastOrDefault(static a => a.Contains("://", StringComparison.Ordinal)) ?? "" : null;
    }

    private static (string Kind, string What)? Explain(Build build, Destination destination)
    {
        if (build.Dockerfile is not { } dockerfile)
        {
            return null;
        }

        foreach (Instruction instruction in dockerfile.Instructions)
        {
            if (instruction.Keyword == "ADD")
            {
                foreach (string word in instruction.Text.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries))
                {
                    if (Uri.TryCreate(word, UriKind.Absolute, out Uri? url) && Names(url.Host, url.Port, destination))
                    {
                        return (url.AbsolutePath.EndsWith(".git", StringComparison.Ordinal) ? "git" : "add", word);
                    }
                }
            }
        }

        if (dockerfile.Syntax.Length > 0 && NamesRegistry(dockerfile.Syntax, destination))
        {
            return ("frontend", dockerfile.Syntax);
        }

        foreach (string reference in dockerfile.BaseImages)
        {
            if (NamesRegistry(reference, destination))
            {
                return ("pull", reference);
            }
        }

        return null;
    }

    private static bool NamesRegistry(string reference, Destination destination)
    {
        string registry = RegistryDetector.RegistryOf(reference);
        return Uri.TryCreate("https://" + registry, UriKind.Absolute, out Uri? url)
            && (Names(url.Host, url.Port, destination) || (url.IsDefaultPort && Names(url.Host, 80, destination)));
    }

    private static bool Names(string host, int port, Destination destination)
        => NetAddress.TryParse(host.Trim('[', ']'), out NetAddress address) && address == destination.Address && port == destination.Port;
}
