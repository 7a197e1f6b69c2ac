using System.CommandLine;
using Grpc.Core;
using ImageSentinel.Agent.Control;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.Agent.Outputs.Render;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Commands;

/// <summary><c>findings</c>: what the running agent has found, in the form another tool wants.</summary>
internal static class FindingsCommand
{
    public static Command Create(CommandLine line)
    {
        var follow = new Option<bool>("--follow", "-f") { Description = "Go on and show what comes" };
        Option<string?> severity = SeverityOption("--severity", "Only findings of this severity or above");
        var last = new Option<uint>("--last", "-n") { Description = "Only the newest N", HelpName = "N" };
        var output = new Option<string>("--output", "-o") { Description = "Form of the output", DefaultValueFactory = _ => "table" };
        output.AcceptOnlyFromAmong("table", "json", "ocsf", "falco");
        var command = new Command("findings", "Findings of the running agent, newest last") { follow, severity, last, output };
        var connection = new AgentConnection(line, command);
        line.Bind(command, async (result, cancellation) =>
        {
            using AgentClient client = connection.Open(result);
            bool following = result.GetValue(follow);
            var request = new WatchFindingsRequest { Follow = following, Last = result.GetValue(last), AtLeast = Parse(result.GetValue(severity)) };
            IRecordView view = View(line.Context, result.GetValue(output)!, following);
            await client.Ask(async agent =>
            {
                using AsyncServerStreamingCall<WatchFindingsResponse> call = agent.WatchFindings(request, cancellationToken: cancellation);
                await foreach (WatchFindingsResponse response in call.ResponseStream.ReadAllAsync(cancellation).ConfigureAwait(false))
                {
                    view.Add(new OutputRecord { Finding = response.Finding });
                }

                return true;
            }).ConfigureAwait(false);
            view.Complete();
            return ExitCode.Success;
        });
        return command;
    }

    public static Option<string?> SeverityOption(string name, string description)
    {
        var option = new Option<string?>(name) { Description = description, HelpName = "SEVERITY" };
        option.AcceptOnlyFromAmong(StringComparer.OrdinalIgnoreCase, [.. SeverityTable.Rows.Select(row => row.Word)]);
        return option;
    }

    public static Severity Parse(string? word)
        => word is not null && SeverityTable.TryParse(word, out Severity severity) ? severity : Severity.Unspecified;

    private static IRecordView View(CommandContext context, string output, bool following) => output switch
    {
        "json" => new JsonView(context.Out),
        "ocsf" => new OcsfView(context.Out),
        "falco" => new FalcoView(context.Out),
        _ when following => new LineView(context.Out, context.OutIsTerminal),
        _ => new FindingTable(context.Console()),
    };
}
