using System.CommandLine;
using System.IO.Compression;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.Agent.Outputs.Render;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Commands;

/// <summary><c>replay</c>: a capture through the production pipeline, without root; a build gate with <c>--fail-on</c>.</summary>
internal static class ReplayCommand
{
    private const long LongestCapture = 64L << 20;

    public static Command Create(CommandLine line, IReplayRunner replay)
    {
        var file = new Argument<string>("FILE") { Description = "Capture made by record, or a bundle made by explain" };
        var config = new Option<string?>("--config", "-c") { Description = "Policy and baseline to judge by (default: the built-in defaults)", HelpName = "FILE" };
        var output = new Option<string>("--output", "-o") { Description = "Form of the output", DefaultValueFactory = _ => "table" };
        output.AcceptOnlyFromAmong("table", "json");
        Option<string?> failOn = FindingsCommand.SeverityOption("--fail-on", "Exit with 10 when a finding is of this severity or above");
        var command = new Command("replay", "Judge a recorded capture") { file, config, output, failOn };
        line.Bind(command, async (result, cancellation) =>
        {
            CommandContext context = line.Context;
            AgentOptions options = result.GetValue(config) is { } path ? context.LoadOptions(path) : ConfigurationLoader.Defaults;
            string name = result.GetValue(file)!;
            IRecordView view = result.GetValue(output) == "json" ? new JsonView(context.Out) : new ReplayTable(context.Console());
            Severity worst = Severity.Unspecified;
            await using Stream capture = Open(name);
            ReplaySummary summary = await replay.RunAsync(
                capture,
                name,
                options,
                record =>
                {
                    worst = record.Finding is { } finding && finding.Severity > worst ? finding.Severity : worst;
                    view.Add(record);
                },
                cancellation).ConfigureAwait(false);
            view.Complete();
            if (summary.Truncated)
            {
                await context.Error.WriteLineAsync($"imagesentinel: {Printable.Line(name, 400)} ends in the middle of a batch; everything before was judged".AsMemory(), cancellation).ConfigureAwait(false);
            }

            Severity limit = FindingsCommand.Parse(result.GetValue(failOn));
            return limit != Severity.Unspecified && worst >= limit ? ExitCode.FindingsReached : ExitCode.Success;
        });
        return command;
    }

    // A bundle of explain holds a capture; everything else has to be one.
    private static Stream Open(string name)
    {
        try
        {
            FileStream file = File.OpenRead(name);
            Span<byte> magic = stackalloc byte[4];
            bool archive = file.ReadAtLeast(magic, 4, throwOnEndOfStream: false) == 4 && magic.SequenceEqual("PK\x03\x04"u8);
            file.Position = 0;
            return archive ? CaptureIn(file, name) : file;
        }
        catch (InvalidDataException)
        {
            throw new CommandException(ExitCode.Failure, $"{Printable.Line(name, 400)}: a damaged archive");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandException(ExitCode.Failure, $"{Printable.Line(name, 400)}: {ConfigTree.Reason(e)}");
        }
    }

    private static MemoryStream CaptureIn(FileStream file, string name)
    {
        using var archive = new ZipArchive(file, ZipArchiveMode.Read);
        ZipArchiveEntry entry = archive.GetEntry(EvidenceBundle.CaptureName)
            ?? throw new CommandException(ExitCode.Failure, $"{Printable.Line(name, 400)}: this bundle holds no capture");
        if (entry.Length > LongestCapture)
        {
            throw new CommandException(ExitCode.Failure, $"{Printable.Line(name, 400)}: its capture is longer than any bundle's");
        }

        // Read to a bound, whatever the archive claims.
        var capture = new MemoryStream();
        using Stream content = entry.Open();
        byte[] block = new byte[64 * 1024];
        for (int count; (count = content.Read(block)) > 0 && capture.Length <= LongestCapture;)
        {
            capture.Write(block, 0, count);
        }

        capture.Position = 0;
        return capture;
    }
}
