using ImageSentinel.Agent.Commands;
using ImageSentinel.Agent.Lifetime;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.Agent.Pipeline;
using ImageSentinel.Agent.Uplink;
using Microsoft.Extensions.Logging;

namespace ImageSentinel.Agent.Composition;

/// <summary>What <c>run</c> is made of: one explicit list, nothing registers itself.</summary>
internal sealed class AgentParts : IAgentParts, IDisposable
{
    private FindingSpool? _spool;

    public IRecordOutput? OpenSpool(AgentOptions options, ILoggerFactory loggers)
    {
        CollectorOptions collector = options.Outputs.Collector;
        try
        {
            _spool = new FindingSpool(
                new SpoolOptions { Directory = options.StateDirectory, Forward = collector.Url is not null, SizeLimit = collector.SpoolLimit },
                loggers.CreateLogger<FindingSpool>(),
                TimeProvider.System);
        }
        catch (SpoolException e)
        {
            throw new CommandException(e.Permission ? ExitCode.MissingPrivilege : ExitCode.Failure, e.Message);
        }

        return new SpoolOutput(_spool);
    }

    /// <summary>The outputs dispose the spool when they are done with it; this is for a start that never got that far.</summary>
    public void Dispose() => _spool?.Dispose();

    public IAgentPipeline CreatePipeline(AgentOptions options, OutputWriter records, ILoggerFactory loggers)
    {
        try
        {
            return new AgentPipeline(options, records, _spool, loggers);
        }
        catch (Microsoft.Data.Sqlite.SqliteException e)
        {
            throw new CommandException(ExitCode.Failure, $"state_dir {options.StateDirectory}: the baseline cannot be opened: {e.Message}");
        }
    }
}
