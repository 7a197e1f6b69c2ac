using System.Collections.Concurrent;
using ImageSentinel.Detection.Model;
using ImageSentinel.Sensors.Reading;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Sensors.History;

/// <summary>Follows the build history of every engine that keeps one: a second witness, never the one that decides.</summary>
/// <remarks>
/// Owns one follower per engine and no thread. An engine without a history is nothing to mend: the sensor says so and
/// nothing else is lost. What it reads enters the stream as facts, so that a replay needs no engine.
/// </remarks>
public sealed class HistorySensor(Action<SensorNotice> notify) : ISensor
{
    private readonly ConcurrentDictionary<int, HistoryFollower> _followers = new();
    private ISensorQueue? _queue;

    public string Name => "history";

    public SensorStatus Status
    {
        get
        {
            HistoryFollower[] followers = [.. _followers.OrderBy(static f => f.Key).Select(static f => f.Value)];
            string reason = string.Join("; ", followers.Select(static f => f.Reason).Where(static r => r.Length > 0));
            return followers.Length == 0 ? new SensorStatus(SensorHealth.Off, "no engine was found yet")
                : followers.Any(static f => f.IsFollowing) ? new SensorStatus(SensorHealth.Active, reason)
                : new SensorStatus(SensorHealth.Off, reason.Length > 0 ? reason : "the engine is being asked");
        }
    }

    public LossTotals Losses
    {
        get
        {
            long told = _followers.Values.Sum(static f => f.Told);
            return new LossTotals(told, told, 0, 0, 0);
        }
    }

    public void Start(ISensorQueue queue) => _queue = queue;

    /// <summary>Follows an engine, or the one that took its place.</summary>
    public void Watch(EngineFact engine)
    {
        if (_queue is not { } queue)
        {
            return;
        }

        var follower = new HistoryFollower(engine, queue, () => notify(new SensorNotice(Name, SensorNoticeKind.StatusChanged, "")));
        HistoryFollower? before = null;
        _ = _followers.AddOrUpdate(engine.Index, follower, (_, old) =>
        {
            before = old;
            return follower;
        });
        before?.Stop();
        follower.Start();
    }

    /// <summary>Waits until every engine has answered whether it keeps a history, at most <paramref name="patience"/>.</summary>
    public Task SettleAsync(TimeSpan patience)
        => Task.WhenAny(Task.WhenAll(_followers.Values.Select(static f => f.Answered)), Task.Delay(patience));

    public async ValueTask DisposeAsync()
    {
        foreach (HistoryFollower follower in _followers.Values)
        {
            await follower.DisposeAsync().ConfigureAwait(false);
        }
    }
}
