using ImageSentinel.Agent.Control;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Outputs;
using Microsoft.Extensions.Logging;

namespace ImageSentinel.Agent.Lifetime;

/// <summary>Sensors, core and uplink as the shell sees them: something that is started, watched, changed and stopped.</summary>
public interface IAgentPipeline : IAsyncDisposable
{
    IAgentState State { get; }

    /// <summary>
    /// Grows whenever the core took something from its queue, ticks included. It feeds the watchdog: a pipeline that
    /// stands still is restarted, one that merely has nothing to do is not.
    /// </summary>
    long Progress { get; }

    /// <summary>Faults or completes when the pipeline ended on its own; then the agent stops.</summary>
    Task Completion { get; }

    /// <summary>Completes when every sensor that can is reading and the self-test is through.</summary>
    /// <exception cref="Commands.CommandException">It cannot be started; the message is for the user.</exception>
    Task StartAsync(CancellationToken cancellation);

    /// <summary>Takes over what can be changed while running.</summary>
    /// <returns>Keys that changed but need a restart.</returns>
    IReadOnlyList<string> Reload(AgentOptions options);

    /// <summary>Stops the sensors, removes our rules and marks, drains what was read. Late after <paramref name="deadline"/>.</summary>
    Task StopAsync(CancellationToken deadline);
}

/// <summary>What the composition supplies to the shell.</summary>
public interface IAgentParts
{
    /// <summary>The durable spool as the first of the outputs; null when there is none.</summary>
    IRecordOutput? OpenSpool(AgentOptions options, ILoggerFactory loggers);

    /// <summary>Made once per run, not yet started. Its records go to <paramref name="records"/>.</summary>
    IAgentPipeline CreatePipeline(AgentOptions options, OutputWriter records, ILoggerFactory loggers);
}
