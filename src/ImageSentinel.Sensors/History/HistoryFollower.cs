using ImageSentinel.Detection.Model;
using ImageSentinel.Docker;
using ImageSentinel.Docker.History;
using ImageSentinel.Sensors.Lookups;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Sensors.History;

/// <summary>Follows one engine's build history and reconnects when the connection ends. Never blocks anybody.</summary>
internal sealed class HistoryFollower(EngineFact engine, ISensorQueue queue, Action changed) : IAsyncDisposable
{
    private const int MaximumFollowed = 32;
    private static readonly TimeSpan ProbePatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    private readonly CancellationTokenSource _stop = new();
    private readonly HistoryBudget _budget = new();
    private readonly HashSet<string> _steps = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource _answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _task = Task.CompletedTask;
    private long _told;
    private volatile bool _following;
    private volatile bool _overflown;
    private volatile string _reason = "the engine is being asked";

    public bool IsFollowing => _following;

    /// <summary>Empty while everything is followed; else one line.</summary>
    public string Reason => _reason;

    /// <summary>Done once it is known whether the engine keeps a history, or that it cannot be asked now.</summary>
    public Task Answered => _answered.Task;

    /// <summary>Facts put into the stream.</summary>
    public long Told => Interlocked.Read(ref _told);

    public void Start() => _task = Task.Run(RunAsync);

    public void Stop() => _stop.Cancel();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _task.ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        TimeSpan pause = FirstPause;
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await FollowAsync(_stop.Token).ConfigureAwait(false);
                pause = FirstPause;
                Set(false, "the engine ended the stream; connecting again");
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                break;
            }
            catch (OperationCanceledException)
            {
                Set(false, "the engine does not answer on its gRPC door");
            }
            catch (HistoryException e) when (e.NotOffered)
            {
                // Only another engine would answer differently, and that one is a new follower's.
                Set(false, $"Docker {engine.Version} keeps no build history (23.0 and later do); nothing is decided by it");
                return;
            }
#pragma warning disable CA1031 // A witness that decides nothing must not take the agent with it, whatever an engine sends.
            catch (Exception e)
#pragma warning restore CA1031
            {
                Set(false, e is HistoryException or EngineApiException ? "build history: " + e.Message : "build history: " + e.GetType().Name);
            }

            try
            {
                await Task.Delay(pause, _stop.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                break;
            }

            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }

        Set(false, "stopped");
    }

    private async Task FollowAsync(CancellationToken stop)
    {
        using var client = new BuildHistoryClient(engine.Index, engine.Socket);
        using var session = CancellationTokenSource.CreateLinkedTokenSource(stop);
        Task listening = client.ListenAsync(record => Take(client, record, session.Token), session.Token);
        try
        {
            using (var patience = CancellationTokenSource.CreateLinkedTokenSource(session.Token))
            {
                patience.CancelAfter(ProbePatience);
                await client.ProbeAsync(patience.Token).ConfigureAwait(false);
            }

            Set(true, "");
            await listening.ConfigureAwait(false);
        }
        finally
        {
            // Nobody uses the connection any more when it is taken down.
            await session.CancelAsync().ConfigureAwait(false);
            await ((Task)Task.WhenAny(listening)).ConfigureAwait(false);
            _ = listening.Exception;
        }
    }

    private void Take(BuildHistoryClient client, BuildRecordFact record, CancellationToken stop)
    {
        Tell(record);
        if (record.Change == BuildRecordChange.Started || (record.Change == BuildRecordChange.Complete && IsFresh(record)))
        {
            FollowSteps(client, record.Ref, stop);
        }
    }

    // At the start the whole past is told: its steps are nobody's business any more.
    private static bool IsFresh(BuildRecordFact record)
        => record.CompletedWall == 0 || DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch.AddTicks(record.CompletedWall / 100) < TimeSpan.FromSeconds(10);

    private void FollowSteps(BuildHistoryClient client, string reference, CancellationToken stop)
    {
        lock (_steps)
        {
            if (_steps.Count >= MaximumFollowed || !_steps.Add(reference))
            {
                return;
            }
        }

        _ = Task.Run(() => FollowStepsAsync(client, reference, stop), stop);
    }

    private async Task FollowStepsAsync(BuildHistoryClient client, string reference, CancellationToken stop)
    {
        var known = new Dictionary<string, BuildVertex>(StringComparer.Ordinal);
        try
        {
            await client.StepsAsync(reference, steps => Take(steps, known), stop).ConfigureAwait(false);
        }
#pragma warning disable CA1031 // As above.
        catch (Exception)
#pragma warning restore CA1031
        {
            // The record went away while it was read, or we stop: what was told so far stands.
        }
        finally
        {
            lock (_steps)
            {
                _ = _steps.Remove(reference);
            }
        }
    }

    private bool Take(BuildVertexFact steps, Dictionary<string, BuildVertex> known)
    {
        List<BuildVertex> news = [.. steps.Vertexes.Where(v => known.GetValueOrDefault(v.Digest) != v)];
        foreach (BuildVertex vertex in news)
        {
            known[vertex.Digest] = vertex;
        }

        bool beyond = known.Count > HistoryBudget.MaximumVertexes;
        if (beyond || news.Count > 0 || steps.Names.Count > 0)
        {
            Tell(steps with { Vertexes = beyond ? [] : news, Beyond = beyond });
        }

        return !beyond;
    }

    private void Set(bool following, string reason)
    {
        bool news = _following != following || _reason != reason;
        _following = following;
        _reason = reason;
        _ = _answered.TrySetResult();
        if (news)
        {
            LookupService.Tell(queue, new HistoryStateFact(engine.Index, following, reason));
            changed();
        }
    }

    private void Tell(Fact fact)
    {
        if (_budget.Take())
        {
            if (_overflown)
            {
                _overflown = false;
                Set(true, "");
            }

            _ = Interlocked.Increment(ref _told);
            LookupService.Tell(queue, fact);
        }
        else if (_following)
        {
            // A gap is a gap: until the next quiet minute nothing is concluded from what the history does not say.
            _overflown = true;
            Set(false, "the engine tells more builds than are followed");
        }
    }
}
