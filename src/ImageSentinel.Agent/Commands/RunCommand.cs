using System.CommandLine;
using ImageSentinel.Agent.Lifetime;
using ImageSentinel.Agent.Options;
using ImageSentinel.Interop;
using Microsoft.Extensions.Logging;

namespace ImageSentinel.Agent.Commands;

/// <summary><c>run</c>: the agent itself.</summary>
internal static class RunCommand
{
    public static Command Create(CommandLine line, IAgentParts parts)
    {
        Option<string?> config = CommandLine.ConfigOption();
        var command = new Command("run", "Watch this host until stopped") { config };
        line.Bind(command, async (result, cancellation) =>
        {
            CommandContext context = line.Context;
            string? path = result.GetValue(config);
            AgentOptions options = context.LoadOptions(path);
            RequirePrivilege();
            using ILoggerFactory loggers = AgentLogging.Create();
            var request = new RunRequest(options, () => ConfigurationLoader.Load(path, context.Environment), context.Out, context.OutIsTerminal);
            return await new AgentShell(request, parts, loggers).RunAsync(cancellation).ConfigureAwait(false);
        });
        return command;
    }

    // With some of them the agent runs and says which sensor is off; with none of these three it could not see anything.
    private static void RequirePrivilege()
    {
        if (!Capabilities.Has(Capability.AuditRead) && !Capabilities.Has(Capability.AuditControl) && !Capabilities.Has(Capability.SysAdmin))
        {
            throw new CommandException(
                ExitCode.MissingPrivilege,
                $"run needs {string.Join(", ", Capabilities.Missing())}; start it as root: sudo imagesentinel run");
        }
    }
}
