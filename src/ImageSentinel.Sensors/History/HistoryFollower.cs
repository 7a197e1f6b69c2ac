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
    private Task _task = Task.CompletedTask;
    private long _told;
    private volatile bool _following;
    private volatile bool _overflown;
    private volatile string _reason = "not connected yet";

    public bool IsFollowing => _following;

    /// <summary>Empty while everything is followed; else one line.</summary>
    public string Reason => _reason;

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
            catch (OperationCanceledException)
            {
                break;
            }
            catch (HistoryException e) when (e.NotOffered)
            {
                // Only another engine would answer differently, and that one is a new follower's.
                Set(false, $"Docker {engine.Version} keeps no build history (23.0 and later do); nothing is decided by it");
                return;
            }
            catch (Exception e) when (e is HistoryException or EngineApiException or HttpRequestException or IOException)
            {
                Set(false, "build history: " + (e.InnerException is EngineApiException inner ? inner.Message : e.Message));
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
        await using IAsyncEnumerator<BuildRecordFact> records = client.ListenAsync(stop).GetAsyncEnumerator(stop);
        Task<bool> next = records.MoveNextAsync().AsTask();
        using (var patience = CancellationTokenSource.CreateLinkedTokenSource(stop))
        {
            patience.CancelAfter(ProbePatience);
            await client.ProbeAsync(patience.Token).ConfigureAwait(false);
        }

        Set(true, "");
        while (await next.ConfigureAwait(false))
        {
            BuildRecordFact record = records.Current;
            Tell(record);
            if (record.Change == BuildRecordChange.Started || (record.Change == BuildRecordChange.Complete && IsFresh(record)))
            {
                FollowSteps(client, record.Ref, stop);
            }

            next = records.MoveNextAsync().AsTask();
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
            await foreach (IReadOnlyList<BuildVertex> vertexes in client.StepsAsync(reference, stop).ConfigureAwait(false))
            {
                List<BuildVertex> news = [.. vertexes.Where(v => known.GetValueOrDefault(v.Digest) != v)];
                foreach (BuildVertex vertex in news)
                {
                    known[vertex.Digest] = vertex;
                }

                if (news.Count > 0 && known.Count <= HistoryBudget.MaximumVertexes)
                {
                    Tell(new BuildVertexFact(engine.Index, reference, news, false));
                }
            }

            Tell(new BuildVertexFact(engine.Index, reference, [], known.Count <= HistoryBudget.MaximumVertexes));
        }
        catch (Exception e) when (e is HistoryException or OperationCanceledException or ObjectDisposedException or IOException)
        {
            // The record went away while it was read, or we stop: what was told so far stands, and claims no completeness.
        }
        finally
        {
            lock (_steps)
            {
                _ = _steps.Remove(reference);
            }
        }
    }

    private void Set(bool following, string reason)
    {
        bool news = _following != following || _reason != reason;
        _following = following;
        _reason = reason;
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
