using System.CommandLine;
using ImageSentinel.Agent.Control;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.Agent.Outputs.Render;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Commands;

/// <summary><c>status</c>: how the running agent is. Fails when it runs and is blind, so that a script notices.</summary>
internal static class StatusCommand
{
    public static Command Create(CommandLine line)
    {
        var json = new Option<bool>("--json") { Description = "One JSON object" };
        var command = new Command("status", "How the running agent is: sensors, losses, baseline, engines, collector") { json };
        var connection = new AgentConnection(line, command);
        line.Bind(command, async (result, cancellation) =>
        {
            using AgentClient client = connection.Open(result);
            GetStatusResponse status = await client.Ask(agent => agent.GetStatusAsync(new GetStatusRequest(), cancellationToken: cancellation).ResponseAsync).ConfigureAwait(false);
            if (result.GetValue(json))
            {
                await line.Context.Out.WriteLineAsync(RecordJson.Line(status).AsMemory(), cancellation).ConfigureAwait(false);
            }
            else
            {
                StatusPage.Write(line.Context.Console(), status);
            }

            return IsBlind(status) ? ExitCode.Failure : ExitCode.Success;
        });
        return command;
    }

    // Without these two no build step can be told from any other process.
    private static bool IsBlind(GetStatusResponse status)
        => (status.Coverage?.Sensors ?? []).Any(sensor => sensor.Sensor is "audit" or "processes" && sensor.State == SensorState.Off);
}
