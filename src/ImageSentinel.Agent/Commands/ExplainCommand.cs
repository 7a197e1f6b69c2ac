using System.CommandLine;
using ImageSentinel.Agent.Control;
using ImageSentinel.Agent.Outputs.Render;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Commands;

/// <summary><c>explain</c>: the whole story of one finding.</summary>
internal static class ExplainCommand
{
    public static Command Create(CommandLine line)
    {
        var uid = new Argument<string>("UID") { Description = "A finding's uid, or its first characters" };
        var command = new Command("explain", "The story of one finding: who built, which step, which process, where to, which image") { uid };
        var connection = new AgentConnection(line, command);
        line.Bind(command, async (result, cancellation) =>
        {
            using AgentClient client = connection.Open(result);
            var request = new ExplainRequest { Uid = result.GetValue(uid) };
            ExplainResponse story = await client.Ask(agent => agent.ExplainAsync(request, cancellationToken: cancellation).ResponseAsync).ConfigureAwait(false);
            StoryPage.Write(line.Context.Console(), story);
            return ExitCode.Success;
        });
        return command;
    }
}
