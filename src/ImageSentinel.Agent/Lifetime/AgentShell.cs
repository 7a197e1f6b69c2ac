using ImageSentinel.Agent.Commands;
using ImageSentinel.Agent.Control;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.Interop;
using Microsoft.Extensions.Logging;

namespace ImageSentinel.Agent.Lifetime;

/// <summary>How one run was asked for.</summary>
/// <param name="Options">Validated.</param>
/// <param name="Reread">Reads the configuration again, from the same places.</param>
/// <param name="Out">Findings for a person, or JSON lines when they go to standard output.</param>
/// <param name="OutIsTerminal">Colour and build ends are for people only.</param>
internal sealed record RunRequest(AgentOptions Options, Func<ConfigurationResult> Reread, TextWriter Out, bool OutIsTerminal);

/// <summary>
/// <c>imagesentinel run</c> around the pipeline: one instance, control socket, outputs, systemd, signals. Starts from the
/// outside in and stops from the inside out, so that what the pipeline says last still finds its outputs.
/// </summary>
internal sealed partial class AgentShell(RunRequest request, IAgentParts parts, ILoggerFactory loggers)
{
    // The contract gives ten seconds from SIGTERM to the end; the outputs need the last of them.
    private static readonly TimeSpan DrainTime = TimeSpan.FromSeconds(7);
    private static readonly TimeSpan OutputTime = TimeSpan.FromSeconds(2);

    private readonly ILogger _logger = loggers.CreateLogger("ImageSentinel.Agent");
    private readonly Lock _reloading = new();
    private AgentOptions _options = request.Options;
    private Action? _reload;
    private volatile bool _reloadWaits;

    /// <param name="cancellation">SIGTERM or SIGINT.</param>
    /// <exception cref="CommandException">It could not start.</exception>
    public async Task<ExitCode> RunAsync(CancellationToken cancellation)
    {
        // First of all: until somebody handles it, a hang-up ends the process.
        using var hangUp = new Signal(System.Runtime.InteropServices.PosixSignal.SIGHUP, HangUp);
        StateDirectory.Prepare(_options.StateDirectory);
        using InstanceLock instance = StateDirectory.Lock(_options.StateDirectory);
        if (StateDirectory.MakePrivate(_options.StateDirectory, _options.ControlSocket) is { } tightened)
        {
            StateMadePrivate(tightened);
        }

        using var notifier = new ServiceManager(loggers.CreateLogger<ServiceManager>());

        var history = new AgentHistory();
        IReadOnlyList<V1.Build> abandoned = [];
        IRecordOutput? spool = parts.OpenSpool(_options, loggers);
        if (spool is IRecordHistory earlier)
        {
            abandoned = history.Restore(earlier.RecentBuilds(AgentHistory.Builds), earlier.RecentFindings(AgentHistory.Findings));
        }

        IRecordOutput? terminal = ShowsFindings(_options) ? new TerminalOutput(request.Out, request.OutIsTerminal) : null;
        var outputs = new OutputSet(spool, history, terminal, loggers);
        await using OutputWriter writer = outputs.Start(_options.Outputs);
        await using IAgentPipeline pipeline = parts.CreatePipeline(_options, writer, loggers);
        await using ControlServer control = ControlServer.Start(_options.ControlSocket, pipeline.State, history, loggers, cancellation);

        using var collector = new CollectorWatch(pipeline.State, writer);
        ExitCode code = ExitCode.Success;
        try
        {
            await pipeline.StartAsync(cancellation).ConfigureAwait(false);

            // After the first coverage, which readers rely on to come first.
            foreach (V1.Build build in abandoned)
            {
                _ = writer.Write(new V1.OutputRecord { Build = build });
            }

            await control.Serving.ConfigureAwait(false);
            string ready = Ready(pipeline.State);
            writer.Tell(new Notice(NoticeKind.Ready, $"ready: {ready}"));
            notifier.Ready(ready, () => pipeline.Progress);
            Volatile.Write(ref _reload, () =>
            {
                lock (_reloading)
                {
                    Reload(pipeline, writer, outputs, notifier);
                }
            });
            if (_reloadWaits)
            {
                _reload();
            }

            await pipeline.Completion.WaitAsync(cancellation).ConfigureAwait(false);
            PipelineEnded();
            code = ExitCode.Failure;
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // The ordinary end; what there is to say about it is said while stopping.
        }
        catch (Exception e) when (e is not CommandException)
        {
            PipelineFailed(e);
            code = ExitCode.Failure;
        }
        finally
        {
            Volatile.Write(ref _reload, null);
            notifier.Stopping();
            code = await Stop(pipeline, writer).ConfigureAwait(false) ? code : ExitCode.Failure;
        }

        return code;
    }

    // One that comes while starting is answered once there is something to reload.
    private void HangUp()
    {
        _reloadWaits = true;
        Volatile.Read(ref _reload)?.Invoke();
    }

    /// <summary>Findings are for eyes here, unless standard output carries JSON or the journal already has them.</summary>
    private static bool ShowsFindings(AgentOptions options)
        => options.Outputs.JsonLines != "-" && !ServiceManager.IsService;

    private static string Ready(IAgentState state)
    {
        V1.GetStatusResponse status = state.GetStatus();
        IEnumerable<string> engines = status.Engines.Select(engine => engine.Reachable ? engine.Socket : $"{engine.Socket} (not reachable yet)");
        IEnumerable<string> limited = (status.Coverage?.Sensors ?? [])
            .Where(sensor => sensor.State != V1.SensorState.Active)
            .Select(sensor => $"{sensor.Sensor} {BuildWords.Sensor(sensor.State)}{(sensor.Reason.Length > 0 ? $" ({sensor.Reason})" : "")}");
        string baseline = status.Coverage?.Baseline is { Mode.Length: > 0 } state_ ? $"; baseline {state_.Mode}, {state_.Destinations} destinations" : "";
        string text = $"watching {string.Join(", ", engines)}{baseline}";
        return Printable.Sentence(limited.Any() ? $"{text}; {string.Join("; ", limited)}" : text, 2000);
    }

    private async Task<bool> Stop(IAgentPipeline pipeline, OutputWriter writer)
    {
        bool inTime = true;
        using var deadline = new CancellationTokenSource(DrainTime);
        try
        {
            await pipeline.StopAsync(deadline.Token).WaitAsync(DrainTime, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            DrainedLate(DrainTime);
            inTime = false;
        }
        catch (Exception e) when (e is IOException or InvalidOperationException)
        {
            PipelineFailed(e);
            inTime = false;
        }

        writer.Tell(new Notice(NoticeKind.Stopping, "the agent stops; builds from here on are not watched"));
        try
        {
            await writer.DisposeAsync().AsTask().WaitAsync(OutputTime).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            OutputsLate(OutputTime);
            inTime = false;
        }

        return inTime;
    }

    private void Reload(IAgentPipeline pipeline, OutputWriter writer, OutputSet outputs, ServiceManager notifier)
    {
        notifier.Reloading();
        try
        {
            ConfigurationResult result = request.Reread();
            if (result.Options is not { } fresh)
            {
                foreach (ConfigurationError error in result.Errors)
                {
                    ConfigurationError(error.ToString());
                }

                writer.Tell(new Notice(NoticeKind.ConfigurationRefused, $"the new configuration is wrong in {(result.Errors.Length == 1 ? "one place" : $"{result.Errors.Length} places")} and the old one stays: {result.Errors[0]}"));
                return;
            }

            List<string> restart = [.. RestartKeys(fresh), .. pipeline.Reload(fresh)];
            outputs.Change(writer, fresh.Outputs);
            _options = fresh;
            string also = restart.Count > 0 ? $"; a restart is needed for {string.Join(", ", restart.Distinct())}" : "";
            writer.Tell(new Notice(NoticeKind.ConfigurationReloaded, $"configuration reloaded{also}"));
        }
#pragma warning disable CA1031 // A reload that fails half-way must not end the watching; it is told and the agent goes on.
        catch (Exception e)
#pragma warning restore CA1031
        {
            ReloadFailed(e);
            writer.Tell(new Notice(NoticeKind.ConfigurationRefused, $"the configuration could not be reloaded: {e.Message}"));
        }
        finally
        {
            notifier.Reloaded();
        }
    }

    private IEnumerable<string> RestartKeys(AgentOptions fresh)
    {
        if (fresh.StateDirectory != _options.StateDirectory)
        {
            yield return "state_dir";
        }

        if (fresh.ControlSocket != _options.ControlSocket)
        {
            yield return "control_socket";
        }
    }

    [LoggerMessage(3, LogLevel.Critical, "the pipeline ended by itself; the agent stops so that it can be restarted")]
    private partial void PipelineEnded();

    [LoggerMessage(4, LogLevel.Critical, "the pipeline failed; the agent stops so that it can be restarted")]
    private partial void PipelineFailed(Exception e);

    [LoggerMessage(5, LogLevel.Error, "not drained after {Limit}; what was still queued is lost")]
    private partial void DrainedLate(TimeSpan limit);

    [LoggerMessage(6, LogLevel.Error, "outputs did not finish within {Limit}")]
    private partial void OutputsLate(TimeSpan limit);

    [LoggerMessage(7, LogLevel.Error, "configuration not changed, the old one stays: {Problem}")]
    private partial void ConfigurationError(string problem);

    [LoggerMessage(10, LogLevel.Warning, "{What}")]
    private partial void StateMadePrivate(string what);

    [LoggerMessage(9, LogLevel.Error, "the configuration could not be reloaded")]
    private partial void ReloadFailed(Exception e);
}
