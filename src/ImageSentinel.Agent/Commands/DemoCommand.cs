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
    private static readonly Style s_aside = new(decoration: Decoration.Dim);

    public static Command Create(CommandLine line, IReplayRunner replay, Func<Stream> open)
    {
        var command = new Command("demo", "Replay a recorded attack and tell its story; no root, no Docker");
        line.Bind(command, async (_, cancellation) =>
        {
            CommandContext context = line.Context;
            IAnsiConsole console = context.Console();
            console.Write(new Text("A harmless-looking image is built on a Docker host. One of its RUN lines downloads a program from an\n"
                + "address that this host has never talked to: MITRE ATT&CK T1612, Build Image on Host.\n\n"));
            console.Write(new Text("This is a recording of it, judged now by the code of \"imagesentinel run\". Nothing on this machine is touched.\n\n", s_aside));
            Heading(console, "While the build runs, imagesentinel says:");
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
            Heading(console, "Asked to explain, it tells who asked for the build, what each step did, and what to do:");
            StoryPage.Write(console, story);
            console.WriteLine();
            console.Write(new Text("On a host of yours: sudo imagesentinel doctor says what it can see there; sudo imagesentinel run watches.\n", s_aside));
            return ExitCode.Success;
        });
        return command;
    }

    private static void Heading(IAnsiConsole console, string text)
        => console.Write(new Text(text + "\n\n", new Style(Color.Aqua, decoration: Decoration.Bold)));
}
