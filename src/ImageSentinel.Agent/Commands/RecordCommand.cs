using System.CommandLine;
using System.Globalization;

namespace ImageSentinel.Agent.Commands;

/// <summary><c>record</c>: what the sensors read, into a file, for a bug report or a test.</summary>
internal static class RecordCommand
{
    public static Command Create(CommandLine line, IRecorder recorder)
    {
        Option<string?> config = CommandLine.ConfigOption();
        var file = new Option<string>("--output", "-o") { Description = "Capture file to write", HelpName = "FILE", Required = true };
        var command = new Command("record", "Write what the sensors read into a capture, until stopped") { config, file };
        line.Bind(command, async (result, cancellation) =>
        {
            string path = result.GetValue(file)!;
            RecordSummary summary = await recorder.RecordAsync(line.Context.LoadOptions(result.GetValue(config)), path, cancellation).ConfigureAwait(false);
            string lost = summary.Lost == 0 ? "nothing lost" : string.Create(CultureInfo.InvariantCulture, $"{summary.Lost} records lost");
            await line.Context.Out.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{summary.Items} batches, {summary.Bytes} bytes, {lost}: {path}").AsMemory(), CancellationToken.None).ConfigureAwait(false);
            return ExitCode.Success;
        });
        return command;
    }
}
