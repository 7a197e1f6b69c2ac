using System.Runtime.InteropServices;
using ImageSentinel.Agent.Commands;
using ImageSentinel.Agent.Composition;
using ImageSentinel.Agent.Lifetime;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.Interop;
using ImageSentinel.Sensors.SelfTesting;

namespace ImageSentinel.Agent;

/// <summary>The program. Signals first, then one command.</summary>
internal static class Program
{
    private static async Task<int> Main(string[] arguments)
    {
        if (arguments is [SelfTestChild.Command, .. var rest])
        {
            return SelfTestChild.Run(rest);
        }

        ProcessControl.KeepFilesPrivate();
        using var stop = new CancellationTokenSource();
        using var interrupt = new Signal(PosixSignal.SIGINT, stop.Cancel);
        using var terminate = new Signal(PosixSignal.SIGTERM, stop.Cancel);
        using var parts = new AgentParts();
        var context = new CommandContext
        {
            Out = Console.Out,
            Error = Console.Error,
            OutIsTerminal = !Console.IsOutputRedirected,
            Environment = CommandContext.ProcessEnvironment(),
            Parts = parts,
            Replay = new ReplayRunner(),
            Recorder = new Recorder(),
            Doctor = new Doctor(),
            Posture = new PostureExaminer(),
            OpenDemo = static () => typeof(Program).Assembly.GetManifestResourceStream("demo.iscap")
                ?? throw new InvalidOperationException("this program was built without its demonstration"),
        };
        return await new CommandLine(context).InvokeAsync(arguments, stop.Token).ConfigureAwait(false);
    }
}
