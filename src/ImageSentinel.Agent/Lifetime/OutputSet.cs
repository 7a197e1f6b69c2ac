using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.Interop;
using Microsoft.Extensions.Logging;

namespace ImageSentinel.Agent.Lifetime;

/// <summary>Which outputs there are, in order, for a given configuration. Spool, history and terminal outlive a reload.</summary>
internal sealed partial class OutputSet(IRecordOutput? spool, IRecordOutput history, IRecordOutput? terminal, ILoggerFactory loggers)
{
    private OutputOptions? _current;
    private IRecordOutput? _journal;
    private IRecordOutput? _lines;
    private IRecordOutput? _log;

    public OutputWriter Start(OutputOptions options)
    {
        Select(options);
        return new OutputWriter(List(), loggers.CreateLogger<OutputWriter>());
    }

    public void Change(OutputWriter writer, OutputOptions options)
    {
        Select(options);
        writer.Replace(List());
        writer.Reopen();
    }

    private void Select(OutputOptions options)
    {
        if (_current is null || _current.Journald != options.Journald)
        {
            _journal = options.Journald && HasJournal() ? new JournalOutput(new SystemJournal()) : null;
        }

        if (_current is null || _current.JsonLines != options.JsonLines)
        {
            _lines = options.JsonLines switch
            {
                "" => null,
                "-" => new JsonLinesOutput(Console.OpenStandardOutput()),
                var path => new JsonLinesOutput(path),
            };
        }

        // Under systemd standard error is the journal as well; one entry of each is enough.
        _log = _journal is not null && ServiceManager.IsService ? null : _log ?? new NoticeLog(loggers.CreateLogger<NoticeLog>());
        _current = options;
    }

    private bool HasJournal()
    {
        if (Journal.Absence is { } why)
        {
            NoJournal(loggers.CreateLogger<OutputSet>(), why);
            return false;
        }

        return true;
    }

    [LoggerMessage(30, LogLevel.Information, "no journal entries: {Why}")]
    private static partial void NoJournal(ILogger logger, string why);

    // The spool first: what a person is shown is then already on its way to the collector.
    private List<IRecordOutput> List()
    {
        IRecordOutput?[] all = [spool, history, _journal, _lines, terminal, _log];
        return [.. all.OfType<IRecordOutput>()];
    }
}
