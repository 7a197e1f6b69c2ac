using System.Globalization;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Files;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;
using ImageSentinel.Detection.Text;

namespace ImageSentinel.Detection.Detectors;

/// <summary>Names of things in findings' sentences. Everything that somebody else chose is made printable here.</summary>
internal static class Wording
{
    private const int InstructionLimit = 160;
    private const int PathLimit = 200;

    public static string Step(BuildStep step)
    {
        string text = SafeText.Display(step.Instruction, InstructionLimit);
        return step.Index > 0
            ? string.Create(CultureInfo.InvariantCulture, $"step {step.Index} of {step.Total} \"{text}\"")
            : $"step \"{text}\"";
    }

    public static string Build(Build build)
        => build.Tags.Count > 0 ? $"the build of {SafeText.Display(string.Join(", ", build.Tags), 160)}"
        : build.PrimarySession?.Command.Tags is { Count: > 0 } asked ? $"a build asked for as {SafeText.Display(string.Join(", ", asked), 160)}"
        : build.ImageId.Length > 0 ? $"the build of untagged image {build.ImageId}"
        : "an untagged build";

    public static string Path(StepFile file) => SafeText.Display(file.Path, PathLimit);

    /// <summary><c>/tmp/x (ELF, 61440 bytes, sha256:…)</c></summary>
    public static string File(StepFile file)
    {
        var parts = new List<string>();
        if (file.Kind != FileKind.None)
        {
            parts.Add(file.Kind switch { FileKind.Elf => "ELF", FileKind.Script => "script", FileKind.Archive => "archive", _ => "other" });
        }

        if (file.Size >= 0)
        {
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"{file.Size} bytes"));
        }

        if (file.Sha256.Length > 0)
        {
            parts.Add("sha256:" + file.Sha256);
        }

        if (file.Note.Length > 0)
        {
            parts.Add(file.Note);
        }

        return parts.Count == 0 ? Path(file) : $"{Path(file)} ({string.Join(", ", parts)})";
    }

    public static string Process(ProcessSnapshot process)
    {
        string command = process.Arguments.Count > 0 ? string.Join(' ', process.Arguments) : process.Exe;
        return string.Create(CultureInfo.InvariantCulture, $"{SafeText.Display(command, 160)} (pid {process.Pid})");
    }

    /// <summary><c>root (0), docker build -t x . (pid 4711)</c>; empty when nobody was seen.</summary>
    public static string Client(BuildClient? client, CoreState state)
        => client switch
        {
            null => "",
            { Process: { } process } => string.Create(
                CultureInfo.InvariantCulture,
                $"{(state.UserName(process.Uid) is { Length: > 0 } name ? SafeText.Display(name, 40) : "uid")} ({process.Uid}), {Process(process)}"),
            { Address: { } address } => string.Create(
                CultureInfo.InvariantCulture, $"{address} port {client.Port} over {(client.Transport == Transport.Tls ? "TLS" : "plain TCP")}"),
            _ => "",
        };

    public static string Capital(string sentence)
        => sentence.Length == 0 ? sentence : char.ToUpperInvariant(sentence[0]) + sentence[1..];
}
