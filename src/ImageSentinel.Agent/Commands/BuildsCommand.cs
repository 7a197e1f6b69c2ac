using System.CommandLine;
using Grpc.Core;
using ImageSentinel.Agent.Control;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.Agent.Outputs.Render;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Commands;

/// <summary><c>builds</c>: the builds the running agent has seen.</summary>
internal static class BuildsCommand
{
    public static Command Create(CommandLine line)
    {
        var follow = new Option<bool>("--follow", "-f") { Description = "Go on and show what comes" };
        var json = new Option<bool>("--json") { Description = "One JSON object per line: {\"build\": …}" };
        var last = new Option<uint>("--last", "-n") { Description = "Only the newest N", HelpName = "N" };
        var command = new Command("builds", "Builds seen by the running agent, newest last") { follow, json, last };
        var connection = new AgentConnection(line, command);
        line.Bind(command, async (result, cancellation) =>
        {
            using AgentClient client = connection.Open(result);
            bool following = result.GetValue(follow);
            var request = new WatchBuildsRequest { Follow = following, Last = result.GetValue(last) };
            IRecordView view = result.GetValue(json) ? new JsonView(line.Context.Out)
                : following ? new LineView(line.Context.Out, line.Context.OutIsTerminal)
                : new BuildTable(line.Context.Console());
            await client.Ask(async agent =>
            {
                using AsyncServerStreamingCall<WatchBuildsResponse> call = agent.WatchBuilds(request, cancellationToken: cancellation);
                await foreach (WatchBuildsResponse response in call.ResponseStream.ReadAllAsync(cancellation).ConfigureAwait(false))
                {
                    view.Add(new OutputRecord { Build = response.Build });
                }

                return true;
            }).ConfigureAwait(false);
            view.Complete();
            return ExitCode.Success;
        });
        return command;
    }
}
