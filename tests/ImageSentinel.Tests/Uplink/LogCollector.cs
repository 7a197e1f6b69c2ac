using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace ImageSentinel.Tests.Uplink;

/// <summary>Keeps the lines that were logged.</summary>
internal sealed class LogCollector
{
    public ConcurrentQueue<string> Lines { get; } = new();

    public ILogger<T> For<T>() => new Logger<T>(this);

    private sealed class Logger<T>(LogCollector owner) : ILogger<T>
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
            => owner.Lines.Enqueue($"{logLevel} {eventId.Id} {formatter(state, exception)}");
    }
}
