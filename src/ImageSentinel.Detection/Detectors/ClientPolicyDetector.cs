using System.Globalization;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Posture;
using ImageSentinel.Detection.Processes;
using ImageSentinel.Detection.Text;

namespace ImageSentinel.Detection.Detectors;

/// <summary>Who asked for a build, held against who may.</summary>
/// <remarks>
/// Without a list of trusted clients a local user who builds is nothing to report; a client on plain TCP, or in a
/// container that holds the engine's socket, is worth waking somebody for all the same.
/// </remarks>
internal sealed class ClientPolicyDetector(CoreState state, FindingBook book, PostureBook posture)
{
    public void Judge(Build build, Stamp at)
    {
        if (build.Clients.Count == 0 || Trust.IsTrusted(build, state))
        {
            return;
        }

        BuildClient client = build.Clients[0];
        bool inContainer = client is { Transport: not Transport.Local, Process.ContainerId.Length: > 0 };
        if (inContainer)
        {
            Tell(build, DetectorDefinition.BuilderInContainer, client, Severity.Critical, BuilderMessage(build, client.Process!), at);
        }

        Severity severity = client.Transport switch
        {
            Transport.Tcp => Severity.Critical,
            Transport.Tls => Severity.High,
            _ when inContainer => Severity.Critical,
            _ => state.Policy.TrustedClients.Count > 0 ? Severity.Medium : Severity.None,
        };
        severity = posture.Weigh(build, client, severity);
        if (severity != Severity.None)
        {
            Tell(build, DetectorDefinition.UnexpectedClient, client, severity, ClientMessage(build, client), at);
        }
    }

    private void Tell(Build build, DetectorDefinition detector, BuildClient client, Severity severity, string message, Stamp at)
    {
        Finding finding = book.Of(build, detector, at);
        if (finding.Severity == severity && finding.Message == message)
        {
            return;
        }

        finding.Severity = severity;
        finding.Confidence = client.Confidence;
        finding.Message = message;
        finding.Replace(new Evidence(at, message, client.Process, Client: client));
        book.Changed(finding, at);
    }

    private static string BuilderMessage(Build build, ProcessSnapshot process)
        => $"A process in container {process.ContainerId[..12]} asked this host's engine to build {Name(build)}: {Command(process)}";

    private string ClientMessage(Build build, BuildClient client)
    {
        bool inContainer = client.Process is { ContainerId.Length: > 0 };
        string who = client.Transport switch
        {
            Transport.Tcp => $"{client.Address} port {client.Port}, over plain TCP: nobody had to prove who they are",
            Transport.Tls => $"{client.Address} port {client.Port}, over TLS",
            _ when inContainer => $"a process in container {client.Process!.ContainerId[..12]}, uid {client.Process.Uid}: {Command(client.Process)}",
            _ => $"uid {client.Process?.Uid.ToString(CultureInfo.InvariantCulture) ?? "unknown"} ({SafeText.Display(state.UserName(client.Process?.Uid ?? uint.MaxValue), 40)}): {(client.Process is { } p ? Command(p) : "the client's process was not seen")}",
        };
        string process = client is { Address: not null, Process: { } behind } ? $", by {Command(behind)}" : "";
        string origin = client.Process is { ContainerId.Length: 0 } local && ClientOrigin.Of(local) is { Length: > 0 } from ? $", from {from}" : "";
        string request = client.Requests.FirstOrDefault(static r => ClientCommand.OfRequest(r).Intent == ClientIntent.Build) is { } asked ? $", by {SafeText.Display(asked, 200)}" : "";
        string listed = state.Policy.TrustedClients.Count > 0 ? "it matches no entry of trusted_clients" : "trusted_clients names nobody";
        string doubt = client.Confidence < 0.995
            ? string.Create(CultureInfo.InvariantCulture, $" {(build.Clients.Count == ClientTracker.MaximumTold ? "At least " : "")}{build.Clients.Count} clients are possible; this one with confidence {client.Confidence:0.00}.")
            : "";
        return $"{Name(build)} was asked for by {who}{request}{process}{origin}; {listed}.{posture.RemarkOn(build, client)}{doubt}";
    }

    internal static string Command(ProcessSnapshot process)
        => string.Create(CultureInfo.InvariantCulture, $"{SafeText.Display(string.Join(' ', process.Arguments), 200)} (pid {process.Pid}, {SafeText.Display(process.Exe, 100)})");

    internal static string Name(Build build)
        => build.Tags.Count > 0 ? SafeText.Display(string.Join(", ", build.Tags), 160)
        : build.PrimarySession?.Command.Tags is { Count: > 0 } asked ? SafeText.Display(string.Join(", ", asked), 160)
        : build.ImageId.Length > 0 ? $"image {build.ImageId}"
        : "an image";
}
