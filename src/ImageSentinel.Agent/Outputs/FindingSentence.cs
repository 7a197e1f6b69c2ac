using System.Globalization;
using System.Net;
using System.Text;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Outputs;

/// <summary>Parts of a finding and its build as words. Everything that comes from outside is made printable here.</summary>
public static class FindingSentence
{
    private const int CommandLimit = 160;
    private const int InstructionLimit = 120;

    /// <summary>
    /// What happened, in one line: the detector's own sentence, or, when it left none, the step, the build and the
    /// requester, the evidence.
    /// </summary>
    public static string Of(Finding finding, Build? build)
    {
        if (finding.Message.Length > 0)
        {
            return Printable.Sentence(finding.Message, 2000);
        }

        var text = new StringBuilder();
        if (build?.Steps.FirstOrDefault(step => step.Id == finding.StepId) is { } step)
        {
            text.Append(StepName(step)).Append(" of ");
        }

        text.Append(build is null ? Printable.Sentence(finding.Title, 200) : BuildName(build));
        if (build?.Clients.FirstOrDefault() is { } client)
        {
            text.Append(" (by ").Append(ClientName(client)).Append(')');
        }

        if (finding.Evidence.FirstOrDefault() is { } evidence)
        {
            text.Append(": ").Append(evidence.Egress is null ? Printable.Sentence(evidence.Summary, 400) : EgressSentence(evidence.Egress));
        }

        return text.ToString();
    }

    /// <summary><c>step 3 of 4 "RUN curl …"</c></summary>
    public static string StepName(BuildStep step)
    {
        string number = step switch
        {
            { Index: > 0, Total: > 0 } => string.Create(CultureInfo.InvariantCulture, $"step {step.Index} of {step.Total}"),
            { Index: > 0 } => string.Create(CultureInfo.InvariantCulture, $"step {step.Index}"),
            { Kind: StepKind.Frontend } => "build frontend",
            _ => "a step",
        };
        return step.Instruction.Length == 0 ? number : $"{number} \"{Printable.Line(step.Instruction, InstructionLimit)}\"";
    }

    /// <summary><c>build app:latest</c>, or its id while it has no tag.</summary>
    public static string BuildName(Build build)
    {
        if (build.Image is { Tags.Count: > 0 } tagged)
        {
            return $"build {Printable.Line(string.Join(", ", tagged.Tags), 200)}";
        }

        return build.Image is { Id.Length: > 0 } image
            ? $"build of untagged image {Printable.Line(Short(image.Id), 40)}"
            : $"build {Printable.Line(build.Id, 64)}";
    }

    /// <summary><c>alice, uid 1000, docker build -t app ., pid 4711</c></summary>
    public static string ClientName(BuildClient client)
    {
        var parts = new List<string>();
        if (client.Process is { } process)
        {
            if (UserName(process) is { } user)
            {
                parts.Add(user);
            }

            if (process.HasAuid && process.Auid != uint.MaxValue && process.LoginUser.Length > 0 && process.LoginUser != process.User)
            {
                parts.Add($"logged in as {Printable.Line(process.LoginUser, 64)}");
            }

            parts.Add(Command(process));
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"pid {process.Pid}"));
            if (process.ContainerId.Length > 0)
            {
                parts.Add($"in container {Printable.Line(Short(process.ContainerId), 64)}");
            }
        }

        if (client.Address.Length > 0)
        {
            parts.Add($"from {Endpoint(client.Address, client.Port)} over {Printable.Line(client.Transport, 8)}");
        }

        if (client.TlsCommonName.Length > 0)
        {
            parts.Add($"certificate {Printable.Line(client.TlsCommonName, 100)}");
        }

        if (parts.Count == 0)
        {
            parts.Add("an unknown client");
        }

        if (client.Confidence is > 0 and < 1)
        {
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"confidence {client.Confidence:0.##}"));
        }

        return string.Join(", ", parts);
    }

    /// <summary><c>connected to 203.0.113.66:80/tcp (curl …), never seen on this host; learning since 2026-11-16</c></summary>
    public static string EgressSentence(Egress egress)
    {
        string words = EgressWords(egress, withProcess: true);
        if (egress.Reason.Length == 0)
        {
            return words;
        }

        // A reason that begins with the novelty's own words says it better, and once is enough.
        string reason = Printable.Sentence(egress.Reason, 200);
        string novelty = NoveltyWords(egress.Novelty);
        return novelty.Length > 0 && reason.StartsWith("never seen", StringComparison.Ordinal) && novelty.StartsWith(", never seen", StringComparison.Ordinal)
            ? $"{words[..^novelty.Length]}, {reason}"
            : $"{words}; {reason}";
    }

    /// <summary><c>connected to 203.0.113.66:80/tcp, never seen on this host</c>: where the rest is told elsewhere.</summary>
    public static string EgressWords(Egress egress, bool withProcess = false)
    {
        var text = new StringBuilder();
        text.Append(Verb(egress)).Append(' ').Append(Destination(egress));
        if (withProcess && egress.Process is { } process)
        {
            text.Append(" (").Append(Command(process)).Append(')');
        }

        text.Append(egress.Outcome switch
        {
            EgressOutcome.Refused => ", refused",
            EgressOutcome.Unreachable => ", unreachable",
            EgressOutcome.TimedOut => ", timed out",
            EgressOutcome.Interrupted => ", interrupted",
            EgressOutcome.Failed => string.Create(CultureInfo.InvariantCulture, $", failed with errno {egress.Errno}"),
            _ => "",
        });
        return text.Append(NoveltyWords(egress.Novelty)).ToString();
    }

    private static string NoveltyWords(Novelty novelty) => novelty switch
    {
        Novelty.NeverSeen => ", never seen on this host",
        Novelty.NewToImage => ", new to this image",
        Novelty.Learning => ", never seen, while the baseline is learning",
        Novelty.Known => ", known",
        _ => "",
    };

    /// <summary><c>203.0.113.66:80/tcp</c>, with its names in front when any are known.</summary>
    public static string Destination(Egress egress)
    {
        string protocol = egress.Protocol switch
        {
            EgressProtocol.Tcp => "/tcp",
            EgressProtocol.Udp => "/udp",
            EgressProtocol.Icmp => "/icmp",
            EgressProtocol.Raw => " (raw socket)",
            EgressProtocol.Packet => " (packet socket)",
            EgressProtocol.Vsock => " (vsock)",
            EgressProtocol.Unix => " (unix)",
            _ => "",
        };
        string endpoint = Endpoint(egress.Address, egress.Port) + protocol;
        return egress.Names.Count == 0
            ? endpoint
            : $"{Printable.Line(string.Join(", ", egress.Names.Take(3).Select(name => name.Name)), 200)} ({endpoint})";
    }

    /// <summary>IPv6 in brackets when a port follows.</summary>
    public static string Endpoint(string address, uint port)
    {
        string safe = Printable.Line(address, 128);
        if (port == 0)
        {
            return safe;
        }

        bool bracketed = IPAddress.TryParse(address, out IPAddress? parsed) && parsed.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6;
        return bracketed
            ? string.Create(CultureInfo.InvariantCulture, $"[{safe}]:{port}")
            : string.Create(CultureInfo.InvariantCulture, $"{safe}:{port}");
    }

    /// <summary>The command line as typed, or the executable when there is none.</summary>
    public static string Command(ProcessInfo process)
        => process.Args.Count > 0
            ? Printable.Line(string.Join(' ', process.Args), CommandLimit)
            : process.Exe.Length > 0 ? Printable.Line(process.Exe, CommandLimit) : "unknown program";

    /// <summary><c>alice, uid 1000</c>; null when nothing is known.</summary>
    public static string? UserName(ProcessInfo process)
    {
        string uid = process.HasUid ? string.Create(CultureInfo.InvariantCulture, $"uid {process.Uid}") : "";
        return process.User.Length == 0 ? (uid.Length == 0 ? null : uid)
            : uid.Length == 0 ? Printable.Line(process.User, 64) : $"{Printable.Line(process.User, 64)}, {uid}";
    }

    /// <summary>First twelve characters of an id, its algorithm removed.</summary>
    public static string Short(string id)
    {
        string bare = id.StartsWith("sha256:", StringComparison.Ordinal) ? id["sha256:".Length..] : id;
        return bare.Length > 12 ? bare[..12] : bare;
    }

    private static string Verb(Egress egress) => (egress.Outcome, egress.Protocol) switch
    {
        (EgressOutcome.Established, _) => "connected to",
        (EgressOutcome.Sent, _) => "sent to",
        (_, EgressProtocol.Udp or EgressProtocol.Icmp) => "tried to send to",
        _ => "tried to connect to",
    };
}
