using System.Text;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Posture;
using ImageSentinel.Sensors.Lookups;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>Reads each engine's set-up once the agent is ready, when an engine came back, and every minute; tells only what
/// changed.</summary>
/// <remarks>Beside the stream's threads: an engine that answers slowly delays nothing but the next reading.</remarks>
internal sealed class PostureWatch(Func<IReadOnlyCollection<EngineFact>> engines, Action<PostureFact> tell) : IAsyncDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(60);

    private readonly Dictionary<int, string> _told = [];
    private readonly SemaphoreSlim _wake = new(0);
    private readonly CancellationTokenSource _stop = new();
    private Task _task = Task.CompletedTask;

    public void Start() => _task = Task.Run(() => WatchAsync(_stop.Token), CancellationToken.None);

    /// <summary>An engine came back, perhaps set up otherwise: look now.</summary>
    public void Wake() => _wake.Release();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        try
        {
            await _task.ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Stopped as asked.
        }

        _stop.Dispose();
        _wake.Dispose();
    }

    private async Task WatchAsync(CancellationToken stop)
    {
        while (true)
        {
            foreach (EngineFact engine in engines().Where(static e => e.Reachable))
            {
                PostureFact fact = await PostureReader.ReadAsync(engine.Index, engine.Socket, stop).ConfigureAwait(false);
                string now = Encoding.UTF8.GetString(FactCodec.ToItem(fact, 0, 0).Span);
                if (_told.GetValueOrDefault(engine.Index) != now)
                {
                    _told[engine.Index] = now;
                    tell(fact);
                }
            }

            _ = await _wake.WaitAsync(s_interval, stop).ConfigureAwait(false);
        }
    }
}
