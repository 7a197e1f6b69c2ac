using System.CommandLine;
using ImageSentinel.Agent.Control;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.Agent.Outputs.Render;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Commands;

/// <summary><c>explain</c>: the whole story of one finding.</summary>
internal static class ExplainCommand
{
    public static Command Create(CommandLine line)
    {
        var uid = new Argument<string>("UID") { Description = "A finding's uid, or its first characters" };
        var bundle = new Option<string?>("--bundle") { Description = "Write everything about it to a file to hand on; replay reads it", HelpName = "FILE" };
        var command = new Command("explain", "The story of one finding: who built, which step, which process, where to, which image") { uid, bundle };
        var connection = new AgentConnection(line, command);
        line.Bind(command, async (result, cancellation) =>
        {
            using AgentClient client = connection.Open(result);
            string? path = result.GetValue(bundle);
            var request = new ExplainRequest { Uid = result.GetValue(uid), WithCapture = path is not null };
            ExplainResponse story = await client.Ask(agent => agent.ExplainAsync(request, cancellationToken: cancellation).ResponseAsync).ConfigureAwait(false);
            if (path is not null)
            {
                Save(path, story);
                string without = story.Capture.IsEmpty ? "; the agent no longer has its moments, so there is no capture in it" : "";
                await line.Context.Out.WriteLineAsync($"{Printable.Line(path, 400)}: written{without}".AsMemory(), cancellation).ConfigureAwait(false);
                return ExitCode.Success;
            }

            StoryPage.Write(line.Context.Console(), story);
            return ExitCode.Success;
        });
        return command;
    }

    // Others' command lines are in it: only its owner may read it.
    private static void Save(string path, ExplainResponse story)
    {
        try
        {
            using var file = new FileStream(path, new FileStreamOptions
            {
                Mode = FileMode.Create,
                Access = FileAccess.Write,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            });
            EvidenceBundle.Write(file, story);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandException(ExitCode.Failure, $"{Printable.Line(path, 400)}: {ConfigTree.Reason(e)}");
        }
    }
}
