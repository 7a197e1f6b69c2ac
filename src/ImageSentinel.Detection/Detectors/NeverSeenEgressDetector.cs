using System.Globalization;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;
using ImageSentinel.Detection.Text;

namespace ImageSentinel.Detection.Detectors;

/// <summary>A build step reached a destination that this host has never talked to.</summary>
internal sealed class NeverSeenEgressDetector(CoreState state, FindingBook book)
{
    public void Judge(BuildStep step, Egress egress, bool addressKnown, Stamp at)
    {
        if (egress.Novelty is not (Novelty.NeverSeen or Novelty.Learning) || step.Build is not { } build)
        {
            return;
        }

        Severity severity = egress.Novelty == Novelty.Learning ? Severity.Informational
            : addressKnown ? Severity.Medium
            : Severity.High;
        Finding finding = book.Of(build, DetectorDefinition.NeverSeenEgress, at);
        if (finding.Step is null || severity > finding.Unweighed)
        {
            finding.Step = step;
            finding.Unweighed = severity;
        }

        finding.Severity = Weigh(build, finding.Unweighed);

        finding.Add(new Evidence(egress.First, Sentence(step, egress), egress.Process, egress));
        finding.Message = Describe(build, finding);
        book.Changed(finding, at);
    }

    /// <summary>The engine itself reached a new destination for a build.</summary>
    public void Judge(Build build, DaemonFetch fetch, bool addressKnown, Stamp at)
    {
        Egress egress = fetch.Egress;
        if (egress.Novelty is not (Novelty.NeverSeen or Novelty.Learning))
        {
            return;
        }

        Severity severity = egress.Novelty == Novelty.Learning ? Severity.Informational
            : addressKnown ? Severity.Medium
            : Severity.High;
        Finding finding = book.Of(build, DetectorDefinition.NeverSeenEgress, at);
        finding.Unweighed = severity > finding.Unweighed ? severity : finding.Unweighed;
        finding.Severity = Weigh(build, finding.Unweighed);
        finding.Add(new Evidence(egress.First, FetchSentence(fetch), egress.Process, egress));
        finding.Message = Describe(build, finding);
        book.Changed(finding, at);
    }

    private static string FetchSentence(DaemonFetch fetch)
    {
        string what = fetch.Kind switch
        {
            "add" => "ADD",
            "git" => "git context",
            "remote" => "remote context",
            "frontend" => "frontend",
            _ => "base image",
        };
        string source = fetch.What.Length > 0 ? $" {SafeText.Display(Redactor.Redact(fetch.What), 160)}" : "";
        return $"daemon fetch: {what}{source} → {fetch.Egress.Label}, {OutcomeText(fetch.Egress)}; {fetch.Egress.Reason}";
    }

    /// <summary>The outcome or the image became known: the same finding, told more fully.</summary>
    public void Refresh(Build build, Stamp at)
    {
        Finding? finding = build.Findings.FirstOrDefault(static f => ReferenceEquals(f.Detector, DetectorDefinition.NeverSeenEgress));
        if (finding is not null)
        {
            string message = Describe(build, finding);
            Severity severity = Weigh(build, finding.Unweighed);
            if (message != finding.Message || severity != finding.Severity)
            {
                finding.Severity = severity;
                finding.Message = message;
                book.Changed(finding, at);
            }
        }
    }

    // Somebody who never had to say who they are builds here and fetches from where nobody ever went.
    private Severity Weigh(Build build, Severity severity)
        => severity == Severity.High && Trust.IsIntruder(build, state) ? Severity.Critical : severity;

    private string Describe(Build build, Finding finding)
    {
        // From the step, not from the evidence: what came beyond the evidence that is kept can be the worst of all.
        Egress? egress = finding.Step?.Egress.FirstOrDefault(static e => e.Novelty is Novelty.NeverSeen or Novelty.Learning);
        if (egress is null)
        {
            DaemonFetch fetch = build.Fetches.First(static f => f.Egress.Novelty is Novelty.NeverSeen or Novelty.Learning);
            return $"For {BuildName(build)} the {(build.Engine < 0 ? "builder" : "engine")} itself went out: {FetchSentence(fetch)}. {ClientText(build)}";
        }

        int more = build.Fetches.Count(static f => f.Egress.Novelty is Novelty.NeverSeen or Novelty.Learning) + build.Steps.SelectMany(static s => s.Egress).Count(static e => e.Novelty is Novelty.NeverSeen or Novelty.Learning) - 1;
        string others = more > 0 ? string.Create(CultureInfo.InvariantCulture, $" (and {more} more)") : "";
        return $"{StepName(finding.Step!)} of {BuildName(build)} reached {egress.Label}{others}, {OutcomeText(egress)}; "
            + $"{egress.Reason}. Process: {ProcessText(egress.Process)}. {ClientText(build)}";
    }

    private static string Sentence(BuildStep step, Egress egress)
        => $"{StepName(step)}: {ProcessText(egress.Process)} → {egress.Label}, {OutcomeText(egress)}; {egress.Reason}";

    private static string StepName(BuildStep step)
    {
        string text = SafeText.Display(step.Instruction, 160);
        return step.Index > 0
            ? string.Create(CultureInfo.InvariantCulture, $"step {step.Index} of {step.Total} \"{text}\"")
            : $"step \"{text}\"";
    }

    private static string BuildName(Build build)
    {
        if (build.Tags.Count > 0)
        {
            return $"the build of {SafeText.Display(string.Join(", ", build.Tags), 160)}";
        }

        if (build.PrimarySession?.Command.Tags is { Count: > 0 } asked)
        {
            return $"a build asked for as {SafeText.Display(string.Join(", ", asked), 160)}";
        }

        return build.ImageId.Length > 0 ? $"the build of untagged image {build.ImageId}" : "an untagged build";
    }

    private static string OutcomeText(Egress egress) => egress.Outcome switch
    {
        EgressOutcome.Established => "connected",
        EgressOutcome.InProgress => "connecting",
        EgressOutcome.Sent => "packet sent",
        EgressOutcome.Refused => "refused by the other side",
        EgressOutcome.Unreachable => "unreachable",
        EgressOutcome.TimedOut => "timed out",
        EgressOutcome.Interrupted => "interrupted",
        _ => "failed",
    };

    private static string ProcessText(ProcessSnapshot? process)
    {
        if (process is null)
        {
            return "unknown";
        }

        string command = process.Arguments.Count > 0 ? string.Join(' ', process.Arguments) : process.Exe;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{SafeText.Display(command, 200)} (pid {process.Pid}, {SafeText.Display(process.Exe, 100)}, uid {process.Uid})");
    }

    private string ClientText(Build build)
    {
        if (build.Clients.Count == 0)
        {
            return "Requested by: not seen.";
        }

        BuildClient client = build.Clients[0];
        string remote = client.Address is { } address ? $"{address} port {client.Port} over {(client.Transport == Transport.Tls ? "TLS" : "plain TCP")}" : "";
        string who = client.Process is { } p ? Person(p) + (remote.Length > 0 ? $", from {remote}" : "") : $"remote {remote}";
        string doubt = client.Confidence < 0.995
            ? string.Create(CultureInfo.InvariantCulture, $" (confidence {client.Confidence:0.00}, {build.Clients.Count} possible)")
            : "";
        return $"Requested by {who}{doubt}.";
    }

    private string Person(ProcessSnapshot process)
    {
        string name = state.UserName(process.Uid);
        string login = process.LoginUid == uint.MaxValue ? "no login"
            : state.UserName(process.LoginUid) is { Length: > 0 } user ? $"login {SafeText.Display(user, 40)}"
            : string.Create(CultureInfo.InvariantCulture, $"login uid {process.LoginUid}");
        string command = SafeText.Display(string.Join(' ', process.Arguments), 200);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{(name.Length > 0 ? SafeText.Display(name, 40) : "uid")} ({process.Uid}, {login}): {command} (pid {process.Pid}, {SafeText.Display(process.Exe, 100)})");
    }
}
