using System.CommandLine;
using ImageSentinel.Agent.Control;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.Agent.Outputs.Render;
using ImageSentinel.V1;
using Spectre.Console;

namespace ImageSentinel.Agent.Commands;

/// <summary><c>demo</c>: a recorded attack through the real pipeline; no root, no Docker, nothing on this host is touched.</summary>
internal static class DemoCommand
{
    public static Command Create(CommandLine line, IReplayRunner replay, Func<Stream> open)
    {
        var command = new Command("demo", "Replay a recorded attack and tell its story; no root, no Docker");
        line.Bind(command, async (_, cancellation) =>
        {
            CommandContext context = line.Context;
            IAnsiConsole console = context.Console();
            console.Write(new Text("Replaying a recording of a Docker host where an image was built (MITRE ATT&CK T1612). Same code as \"run\", read from a file.\n\n", new Style(decoration: Decoration.Dim)));
            using var history = new AgentHistory();
            using var lines = new TerminalOutput(context.Out, context.OutIsTerminal);
            await using (Stream capture = open())
            {
                await replay.RunAsync(
                    capture,
                    "demo",
                    ConfigurationLoader.Defaults with { Baseline = new BaselineOptions(BaselineMode.Enforcing, TimeSpan.Zero) },
                    record =>
                    {
                        history.Write([record]);
                        lines.Write([record]);
                    },
                    cancellation).ConfigureAwait(false);
            }

            Finding? worst = history.RecentFindings(0, Severity.Unspecified).MaxBy(finding => finding.Severity);
            if (worst is null || history.Explain(worst.Uid) is not { } story)
            {
                throw new CommandException(ExitCode.Failure, "the recording gave no finding, which it should; please report this");
            }

            console.WriteLine();
            StoryPage.Write(console, story);
            console.WriteLine();
            console.Write(new Text("On a real host: sudo imagesentinel doctor, then sudo imagesentinel run.\n", new Style(decoration: Decoration.Dim)));
            return ExitCode.Success;
        });
        return command;
    }
}
