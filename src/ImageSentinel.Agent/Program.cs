using System.Runtime.InteropServices;
using ImageSentinel.Agent.Commands;
using ImageSentinel.Agent.Lifetime;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Outputs;

namespace ImageSentinel.Agent;

/// <summary>The program. Signals first, then one command.</summary>
internal static class Program
{
    private static async Task<int> Main(string[] arguments)
    {
        using var stop = new CancellationTokenSource();
        using var interrupt = new Signal(PosixSignal.SIGINT, stop.Cancel);
        using var terminate = new Signal(PosixSignal.SIGTERM, stop.Cancel);
        var context = new CommandContext
        {
            Out = Console.Out,
            Error = Console.Error,
            OutIsTerminal = !Console.IsOutputRedirected,
            Environment = CommandContext.ProcessEnvironment(),
        };
        return await new CommandLine(context).InvokeAsync(arguments, stop.Token).ConfigureAwait(false);
    }
}
