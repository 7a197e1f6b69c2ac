using System.Globalization;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Text;

namespace ImageSentinel.Detection.Detectors;

/// <summary>What a step does on the network that is telling whatever the baseline knows: many hosts, the metadata service,
/// a path around ordinary system calls.</summary>
internal sealed class EgressBehaviourDetector(FindingBook book)
{
    /// <summary>Distinct addresses in <see cref="FanOutWindow"/> that make a fan-out; package managers stay well below.</summary>
    public const int FanOutThreshold = 30;

    private const long FanOutWindow = 60 * Stamp.Second;

    // The engine's own API port: a step that knocks at it on many hosts looks for more daemons to build on.
    private const ushort DockerPort = 2375;

    private static readonly NetAddress Metadata4 = NetAddress.FromIPv4(0xA9FE_A9FE);
    private static readonly NetAddress Metadata6 = new(0xFD00_0EC2_0000_0000, 0x254);

    public static bool IsMetadataService(NetAddress address) => address == Metadata4 || address == Metadata6;

    public void Judge(BuildStep step, Egress egress, Stamp at)
    {
        if (step.Build is not { } build)
        {
            return;
        }

        if (IsMetadataService(egress.Destination.Address))
        {
            Tell(build, step, DetectorDefinition.MetadataService, Severity.High, egress,
                $"{Name(step)} reached for the cloud metadata service at {egress.Label}: it hands out credentials.", at);
        }

        string path = egress.Path switch
        {
            EgressPath.IoUring => "io_uring, which rules on system calls do not see",
            EgressPath.Syscall32 => "a 32-bit system call, which rules for 64-bit programs do not see",
            EgressPath.FlowOnly => "a path on which no record names it: only the flow itself was seen",
            _ when egress.Destination.Protocol is EgressProtocol.Raw or EgressProtocol.Packet => "a raw socket, below TCP and UDP",
            _ => "",
        };
        if (path.Length > 0)
        {
            Severity severity = egress.Path == EgressPath.Syscall32 ? Severity.Medium : Severity.High;
            Tell(build, step, DetectorDefinition.UnusualEgressPath, severity, egress, $"{Name(step)} reached {egress.Label} by {path}.", at);
        }

        JudgeFanOut(build, step, egress, at);
    }

    private void JudgeFanOut(Build build, BuildStep step, Egress egress, Stamp at)
    {
        int recent = step.Egress.Where(e => at.Since(e.First) < FanOutWindow).Select(static e => e.Destination.Address).Distinct().Count();
        if (recent < FanOutThreshold)
        {
            return;
        }

        bool onHost = step.Network == StepNetwork.Host;
        bool knocking = step.Egress.Count(static e => e.Destination.Port == DockerPort) >= FanOutThreshold;
        string what = knocking ? ", knocking at the Docker API's port" : "";
        string where = onHost ? " from the host's own network" : "";
        Finding finding = book.Of(build, DetectorDefinition.EgressFanOut, at);
        finding.Step = step;
        finding.Severity = knocking || onHost ? Severity.Critical : Severity.High;
        finding.Message = string.Create(CultureInfo.InvariantCulture, $"{Name(step)} reached for {recent} hosts within 60 s{where}{what}.");
        finding.Replace(new Evidence(at, finding.Message, egress.Process, egress));
        book.Changed(finding, at);
    }

    private void Tell(Build build, BuildStep step, DetectorDefinition detector, Severity severity, Egress egress, string message, Stamp at)
    {
        Finding finding = book.Of(build, detector, at);
        if (severity >= finding.Severity)
        {
            finding.Severity = severity;
            finding.Step = step;
            finding.Message = message;
        }

        finding.Add(new Evidence(at, message, egress.Process, egress));
        book.Changed(finding, at);
    }

    private static string Name(BuildStep step)
    {
        string text = SafeText.Display(step.Instruction, 160);
        return step.Index > 0 ? string.Create(CultureInfo.InvariantCulture, $"Step {step.Index} of {step.Total} \"{text}\"") : $"Step \"{text}\"";
    }
}
