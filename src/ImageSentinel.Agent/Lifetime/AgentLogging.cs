using ImageSentinel.Agent.Outputs;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace ImageSentinel.Agent.Lifetime;

/// <summary>The agent's own log: standard error, one line per message, nothing in it that a terminal would obey.</summary>
internal static class AgentLogging
{
    public static ILoggerFactory Create() => LoggerFactory.Create(logging =>
    {
        logging.SetMinimumLevel(LogLevel.Information);
        logging.AddFilter("Microsoft", LogLevel.Warning);
        logging.AddFilter("Grpc", LogLevel.Warning);
        logging.AddConsole(console =>
        {
            console.FormatterName = LineFormatter.FormatterName;
            console.LogToStandardErrorThreshold = LogLevel.Trace;
        });
        logging.Services.AddSingleton<ConsoleFormatter, LineFormatter>();
    });

    private sealed class LineFormatter() : ConsoleFormatter(FormatterName)
    {
        public const string FormatterName = "imagesentinel";

        public override void Write<TState>(in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
        {
            string message = logEntry.Formatter(logEntry.State, logEntry.Exception);
            if (logEntry.Exception is { } exception)
            {
                message = $"{message}: {exception.GetType().Name}: {exception.Message}";
            }

            // Under systemd the priority travels in front of the line (sd-daemon(3)); the journal adds the time itself.
            textWriter.Write(ServiceManager.IsService ? $"<{Priority(logEntry.LogLevel)}>" : $"imagesentinel: {Word(logEntry.LogLevel)}");
            textWriter.Write(Printable.Sentence(message, 4000));
            textWriter.Write('\n');
        }

        private static int Priority(LogLevel level) => level switch
        {
            LogLevel.Critical => 2,
            LogLevel.Error => 3,
            LogLevel.Warning => 4,
            LogLevel.Information => 6,
            _ => 7,
        };

        private static string Word(LogLevel level) => level switch
        {
            LogLevel.Critical or LogLevel.Error => "error: ",
            LogLevel.Warning => "warning: ",
            _ => "",
        };
    }
}
