using System.CommandLine;
using System.Globalization;
using Google.Protobuf;
using Grpc.Core;
using ImageSentinel.Agent.Control;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.Agent.Outputs.Render;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Commands;

/// <summary><c>baseline</c>: what this host has been seen to reach, and what an operator says about it.</summary>
internal static class BaselineCommand
{
    private const string DestinationHelp = "Address, address:port or CIDR; IPv6 with a port in brackets; optional /tcp or /udp behind the port";

    public static Command Create(CommandLine line) => new("baseline", "Destinations this host has been seen to reach")
    {
        Show(line),
        Approve(line),
        Forget(line),
        Export(line),
        Import(line),
    };

    private static Command Show(CommandLine line)
    {
        var json = new Option<bool>("--json") { Description = "One JSON object per destination" };
        var command = new Command("show", "List them") { json };
        var connection = new AgentConnection(line, command);
        line.Bind(command, async (result, cancellation) =>
        {
            using AgentClient client = connection.Open(result);
            List<KnownDestination> all = await List(client, cancellation).ConfigureAwait(false);
            if (result.GetValue(json))
            {
                all.ForEach(destination => line.Context.Out.WriteLine(RecordJson.Line(destination)));
            }
            else
            {
                DestinationTable.Write(line.Context.Console(), all);
            }

            return ExitCode.Success;
        });
        return command;
    }

    private static Command Approve(CommandLine line)
    {
        var destination = new Argument<string>("DESTINATION") { Description = DestinationHelp };
        var reason = new Option<string?>("--reason", "-r") { Description = "Why; shown wherever the destination is judged", HelpName = "TEXT" };
        var command = new Command("approve", "Take a destination as known") { destination, reason };
        var connection = new AgentConnection(line, command);
        line.Bind(command, async (result, cancellation) =>
        {
            using AgentClient client = connection.Open(result);
            var request = new ApproveDestinationRequest { Destination = result.GetValue(destination), Reason = result.GetValue(reason) ?? "" };
            await client.Ask(agent => agent.ApproveDestinationAsync(request, cancellationToken: cancellation).ResponseAsync).ConfigureAwait(false);
            await line.Context.Out.WriteLineAsync($"approved {Printable.Line(request.Destination, 256)}".AsMemory(), cancellation).ConfigureAwait(false);
            return ExitCode.Success;
        });
        return command;
    }

    private static Command Forget(CommandLine line)
    {
        var destination = new Argument<string>("DESTINATION") { Description = DestinationHelp };
        var command = new Command("forget", "Take a destination out, as if it had never been seen") { destination };
        var connection = new AgentConnection(line, command);
        line.Bind(command, async (result, cancellation) =>
        {
            using AgentClient client = connection.Open(result);
            var request = new ForgetDestinationRequest { Destination = result.GetValue(destination) };
            ForgetDestinationResponse response = await client.Ask(agent => agent.ForgetDestinationAsync(request, cancellationToken: cancellation).ResponseAsync).ConfigureAwait(false);
            await line.Context.Out.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"forgot {response.Removed} {(response.Removed == 1 ? "entry" : "entries")}").AsMemory(), cancellation).ConfigureAwait(false);
            return response.Removed > 0 ? ExitCode.Success : ExitCode.Failure;
        });
        return command;
    }

    private static Command Export(CommandLine line)
    {
        var file = new Option<string?>("--output", "-o") { Description = "File (default: standard output)", HelpName = "FILE" };
        var command = new Command("export", "Write them as JSON lines, for import elsewhere") { file };
        var connection = new AgentConnection(line, command);
        line.Bind(command, async (result, cancellation) =>
        {
            using AgentClient client = connection.Open(result);
            List<KnownDestination> all = await List(client, cancellation).ConfigureAwait(false);
            if (result.GetValue(file) is { } path)
            {
                await File.WriteAllLinesAsync(path, all.Select(RecordJson.Line), cancellation).ConfigureAwait(false);
                await line.Context.Out.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{all.Count} destinations written to {Printable.Line(path, 400)}").AsMemory(), cancellation).ConfigureAwait(false);
            }
            else
            {
                all.ForEach(destination => line.Context.Out.WriteLine(RecordJson.Line(destination)));
            }

            return ExitCode.Success;
        });
        return command;
    }

    private static Command Import(CommandLine line)
    {
        var file = new Argument<string>("FILE") { Description = "What export wrote" };
        var command = new Command("import", "Approve every destination of an export") { file };
        var connection = new AgentConnection(line, command);
        line.Bind(command, async (result, cancellation) =>
        {
            string path = result.GetValue(file)!;
            List<ApproveDestinationRequest> requests = Read(path);
            using AgentClient client = connection.Open(result);
            foreach (ApproveDestinationRequest request in requests)
            {
                await client.Ask(agent => agent.ApproveDestinationAsync(request, cancellationToken: cancellation).ResponseAsync).ConfigureAwait(false);
            }

            await line.Context.Out.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{requests.Count} destinations approved").AsMemory(), cancellation).ConfigureAwait(false);
            return ExitCode.Success;
        });
        return command;
    }

    // All of the file is read before the first is approved: a file with a mistake changes nothing.
    private static List<ApproveDestinationRequest> Read(string path)
    {
        var requests = new List<ApproveDestinationRequest>();
        var parser = new JsonParser(JsonParser.Settings.Default.WithIgnoreUnknownFields(true));
        int number = 0;
        try
        {
            foreach (string text in File.ReadLines(path))
            {
                number++;
                if (string.IsNullOrWhiteSpace(text))
                {
                    continue;
                }

                KnownDestination known = parser.Parse<KnownDestination>(text);
                string reason = known.Reason.Length > 0 ? known.Reason : $"imported from {Path.GetFileName(path)}";
                requests.Add(new ApproveDestinationRequest { Destination = known.Destination, Reason = reason });
            }
        }
        catch (FileNotFoundException)
        {
            throw new CommandException(ExitCode.Failure, $"{Printable.Line(path, 400)}: there is no such file");
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or InvalidJsonException)
        {
            throw new CommandException(ExitCode.Failure, $"{Printable.Line(path, 400)}:{number}: not a line of \"baseline export\": {Printable.Sentence(e.Message, 200)}");
        }

        return requests;
    }

    private static Task<List<KnownDestination>> List(AgentClient client, CancellationToken cancellation) => client.Ask(async agent =>
    {
        var all = new List<KnownDestination>();
        using AsyncServerStreamingCall<ListDestinationsResponse> call = agent.ListDestinations(new ListDestinationsRequest(), cancellationToken: cancellation);
        await foreach (ListDestinationsResponse response in call.ResponseStream.ReadAllAsync(cancellation).ConfigureAwait(false))
        {
            all.Add(response.Destination);
        }

        return all;
    });
}
