using ImageSentinel.Detection.Model;
using Microsoft.Extensions.Logging;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>One of our own queues that drops rather than waits.</summary>
/// <param name="Name">As coverage shows it, beside the sensors.</param>
/// <param name="Dropped">Grows; read from any thread.</param>
/// <param name="Means">What a drop is, for people.</param>
internal sealed record DropSource(string Name, Func<long> Dropped, string Means);

/// <summary>Turns what our own queues dropped into coverage: a build that ran meanwhile is not called clean.</summary>
/// <remarks>Told through the stream, so that a replay knows it too. An episode ends after a quiet while.</remarks>
internal sealed partial class DropWatch : IDisposable
{
    private static readonly TimeSpan s_every = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_quiet = TimeSpan.FromSeconds(30);

    private readonly Source[] _sources;
    private readonly Action<SensorFact> _tell;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private ITimer? _timer;

    public DropWatch(IEnumerable<DropSource> sources, Action<SensorFact> tell, TimeProvider time, ILogger logger)
    {
        _sources = [.. sources.Select(static source => new Source(source))];
        (_tell, _time, _logger) = (tell, time, logger);
    }

    /// <summary>Tells that nothing was dropped yet, and looks once a second from now on.</summary>
    public void Start()
    {
        foreach (Source source in _sources)
        {
            _tell(new SensorFact(source.Of.Name, "active", "", 0, 0, 0, 0));
        }

        _timer = _time.CreateTimer(_ => Look(), null, s_every, s_every);
    }

    public void Dispose() => _timer?.Dispose();

    internal void Look()
    {
        // A timer does not wait for its last call.
        lock (_gate)
        {
            foreach (Source source in _sources)
            {
                Look(source);
            }
        }
    }

    private void Look(Source source)
    {
        long now = source.Of.Dropped();
        if (now > source.Told)
        {
            if (!source.Dropping)
            {
                source.Dropping = true;
                source.Before = source.Told;
                Dropping(source.Of.Name, source.Of.Means);
            }

            source.Told = now;
            source.Last = _time.GetTimestamp();
            _tell(new SensorFact(source.Of.Name, "degraded", source.Of.Means, 0, 0, now, 0));
        }
        else if (source.Dropping && _time.GetElapsedTime(source.Last) > s_quiet)
        {
            source.Dropping = false;
            Kept(source.Of.Name, now - source.Before);
            _tell(new SensorFact(source.Of.Name, "active", "", 0, 0, now, 0));
        }
    }

    [LoggerMessage(3131, LogLevel.Error, "{Name}: {Means}; they are counted")]
    private partial void Dropping(string name, string means);

    [LoggerMessage(3132, LogLevel.Warning, "{Name}: everything fits again; {Count} were dropped")]
    private partial void Kept(string name, long count);

    private sealed class Source(DropSource of)
    {
        public DropSource Of { get; } = of;

        public long Told { get; set; }

        public long Before { get; set; }

        public long Last { get; set; }

        public bool Dropping { get; set; }
    }
}
