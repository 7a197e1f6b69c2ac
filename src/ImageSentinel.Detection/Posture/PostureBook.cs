using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Posture;

/// <summary>Keeps how each engine is set up, tells a weakness once, and says what it means for a build's requester.</summary>
/// <remarks>A weakness has one finding for the agent's life: told when it is first read, when who or where changes, and
/// when it is gone. Reading it again says nothing.</remarks>
internal sealed class PostureBook(CoreState state, FindingBook book)
{
    private readonly Dictionary<int, PostureFact> _facts = [];
    private readonly Dictionary<string, (Finding Finding, string Told)> _told = new(StringComparer.Ordinal);

    public void Learn(PostureFact fact, Stamp at)
    {
        _facts[fact.Engine] = fact;
        foreach (PostureCheck check in PostureRules.Judge(fact))
        {
            string key = $"{check.Detector.Id}|{fact.Socket}";
            if (check.Result == PostureResult.Weak && check.Severity >= Severity.Low)
            {
                Tell(key, fact, check, at);
            }
            else if (check.Result == PostureResult.Ok && _told.TryGetValue(key, out (Finding Finding, string Told) before) && before.Told.Length > 0)
            {
                _told[key] = (before.Finding, "");
                before.Finding.Activity = FindingActivity.Close;
                before.Finding.Message = $"{fact.Socket}: {check.Found}.";
                book.Changed(before.Finding, at);
            }
        }
    }

    /// <summary>What the engine's set-up did for whoever asked: a sentence for the build's finding, or nothing.</summary>
    public string RemarkOn(Build build, BuildClient client)
    {
        if (!_facts.TryGetValue(build.Engine, out PostureFact? fact))
        {
            return "";
        }

        return client.Transport switch
        {
            Transport.Tcp or Transport.Tls when fact.Listeners.Count > 0 && !fact.TlsVerify =>
                $" The daemon listens on {PostureRules.Endpoints(fact)} {(fact.Tls ? "without asking for a client certificate" : "without TLS")} ({PostureDetectors.ApiOverTcp.Id}).",
            Transport.Unix when IsOpenToAll(fact) => $" The engine's socket is open to every user of the host ({PostureDetectors.SocketAccess.Id}).",
            Transport.Unix when Holder(fact, client) is { } holder =>
                $" Container {Text.SafeText.Display(holder.Name, 80)} holds the engine's socket at {Text.SafeText.Display(holder.SocketTarget, 120)} ({PostureDetectors.SocketInContainer.Id}).",
            _ => "",
        };
    }

    /// <summary>A requester that got in only because of a weakness is worse than one who had to be let in.</summary>
    public Severity Weigh(Build build, BuildClient client, Severity severity)
    {
        if (severity == Severity.None || !_facts.TryGetValue(build.Engine, out PostureFact? fact))
        {
            return severity;
        }

        return client.Transport switch
        {
            Transport.Tls when fact is { Listeners.Count: > 0, Tls: true, TlsVerify: false } => Severity.Critical,
            Transport.Unix when severity < Severity.High && IsOpenToAll(fact) && client.Process is { Uid: not 0 } => Severity.High,
            _ => severity,
        };
    }

    private static bool IsOpenToAll(PostureFact fact) => (fact.SocketMode & 2) != 0;

    private static PostureContainer? Holder(PostureFact fact, BuildClient client)
        => client.Process is { ContainerId.Length: > 0 } process
            ? fact.Containers.FirstOrDefault(c => c.Id == process.ContainerId && c.SocketSource.Length > 0)
            : null;

    private void Tell(string key, PostureFact fact, PostureCheck check, Stamp at)
    {
        string now = $"{check.Severity}|{check.Subject}";
        if (_told.TryGetValue(key, out (Finding Finding, string Told) before) && before.Told == now)
        {
            return;
        }

        Finding finding = before.Finding ?? new Finding(state.MakeId("f", "posture", key), check.Detector, null, at);
        if (finding.Activity == FindingActivity.Close)
        {
            finding.Activity = FindingActivity.Update;
        }

        _told[key] = (finding, now);
        finding.Severity = check.Severity;
        finding.Message = $"{Text.SafeText.Display(fact.Socket, 200)}: {check.Found}. Fix: {check.Fix}.";
        finding.Replace(new Evidence(at, check.Evidence[0]));
        foreach (string line in check.Evidence.Skip(1))
        {
            finding.Add(new Evidence(at, line));
        }

        book.Changed(finding, at);
    }
}
