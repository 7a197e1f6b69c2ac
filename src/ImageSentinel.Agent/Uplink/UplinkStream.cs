using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Grpc.Net.Client;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Uplink;

/// <summary>One stream to the collector, from greeting to its end. Owns the call.</summary>
internal sealed class UplinkStream : IAsyncDisposable
{
    /// <summary>Records in one message: most of what batching gains is gained here.</summary>
    public const int MaximumBatch = 128;

    /// <summary>Bytes of records in one message, unless one alone is larger.</summary>
    public const int MaximumBatchBytes = 512 * 1024;

    /// <summary>Messages on their way without an answer.</summary>
    public const int Window = 8;

    private readonly AsyncDuplexStreamingCall<PublishFindingsRequest, PublishFindingsResponse> _call;
    private readonly CancellationTokenSource _end = new();
    private readonly UplinkOptions _options;
    private readonly FindingSpool _spool;
    private readonly Func<Coverage?> _coverage;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _window = new(Window, Window);
    private readonly string _spoolId;
    private ulong _cursor;
    private ulong _reportedGivenUp;
    private int _unanswered;
    private int _answers;

    /// <exception cref="UplinkException">There is no spool to send from now.</exception>
    public UplinkStream(GrpcChannel channel, UplinkOptions options, FindingSpool spool, Func<Coverage?> coverage, TimeProvider time)
    {
        (_options, _spool, _coverage, _time) = (options, spool, coverage, time);
        _spoolId = spool.SpoolId ?? throw new UplinkException("waiting for the spool", null);
        _call = new FindingService.FindingServiceClient(channel).PublishFindings(cancellationToken: _end.Token);
    }

    /// <summary>Says who we are, and learns what the collector has already.</summary>
    public async Task OpenAsync(HostInfo host, CancellationToken stop)
    {
        using CancellationTokenRegistration ended = stop.Register(() => _end.Cancel());
        ulong first = _spool.ReadAfter(_spoolId, 0, 1, 0) is [var oldest, ..] ? oldest.Sequence : _spool.LastSequence + 1;
        try
        {
            await _call.RequestStream.WriteAsync(
                new() { Hello = new AgentHello { Host = host, SpoolId = _spoolId, FirstSequence = first } }, stop).ConfigureAwait(false);
        }
        catch (Exception error) when (error is RpcException or InvalidOperationException or IOException)
        {
            // The status of a call that was refused is told by reading.
        }

        ulong stored = await TryReadAnswerAsync(stop).ConfigureAwait(false)
            ?? throw new UplinkException("the collector ended the stream", null);
        if (stored > _spool.LastSequence)
        {
            _spool.RenewIdentity();
            throw new UplinkException("starting over with a new spool identity", null);
        }

        _spool.AcknowledgeThrough(_spoolId, stored);
        _cursor = stored;
    }

    /// <summary>True once something after the greeting was answered: this stream was of use.</summary>
    public bool WasUseful => Volatile.Read(ref _answers) > 0;

    /// <summary>Sends until <paramref name="drain"/> is set and nothing is left. Anything else is an exception.</summary>
    public async Task RunAsync(CancellationToken drain, CancellationToken stop)
    {
        using CancellationTokenRegistration ended = stop.Register(() => _end.Cancel());
        Task reading = ReadAsync(stop);
        Task sending = SendAllAsync(drain, stop);
        Task first = await Task.WhenAny(reading, sending).ConfigureAwait(false);
        if (first == sending && sending.IsCompletedSuccessfully)
        {
            await _call.RequestStream.CompleteAsync().ConfigureAwait(false);
            await reading.ConfigureAwait(false);
            return;
        }

        await _end.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(reading, sending).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (first == reading && reading.IsCompletedSuccessfully)
        {
            throw new UplinkException("the collector ended the stream", null);
        }

        // A writer that cannot write knows no status; the reader does. Our own reasons come from the writer.
        bool own = sending.Exception?.InnerException is UplinkException;
        await (own || !reading.IsFaulted ? sending : reading).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync().ConfigureAwait(false);
        _call.Dispose();
        _end.Dispose();
        _window.Dispose();
    }

    private async Task SendAllAsync(CancellationToken drain, CancellationToken stop)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stop, _end.Token);
        while (true)
        {
            List<SpooledBytes> records = _spool.ReadAfter(_spoolId, _cursor, MaximumBatch, MaximumBatchBytes)
                ?? throw new UplinkException("starting over with a new spool", null);
            if (records.Count > 0)
            {
                await SendAsync(new() { Batch = Batch(records) }, ending.Token).ConfigureAwait(false);
                _cursor = records[^1].Sequence;
                continue;
            }

            if (drain.IsCancellationRequested && Volatile.Read(ref _unanswered) == 0)
            {
                return;
            }

            bool news = await WaitAsync(drain, ending.Token).ConfigureAwait(false);
            SpoolStatus status = _spool.Status;
            if (!news || status.GivenUp != _reportedGivenUp)
            {
                await SendAsync(new() { Heartbeat = Heartbeat(status) }, ending.Token).ConfigureAwait(false);
                _reportedGivenUp = status.GivenUp;
            }
        }
    }

    private async Task SendAsync(PublishFindingsRequest request, CancellationToken stop)
    {
        await _window.WaitAsync(stop).ConfigureAwait(false);
        Interlocked.Increment(ref _unanswered);
        await _call.RequestStream.WriteAsync(request, stop).ConfigureAwait(false);
    }

    // True for news, false when a heartbeat is due.
    private async Task<bool> WaitAsync(CancellationToken drain, CancellationToken stop)
    {
        if (drain.IsCancellationRequested)
        {
            // The last answers are on their way.
            await Task.Delay(TimeSpan.FromMilliseconds(10), _time, stop).ConfigureAwait(false);
            return true;
        }

        using var due = CancellationTokenSource.CreateLinkedTokenSource(drain, stop);
        try
        {
            await _spool.WaitForNewsAsync(due.Token).WaitAsync(_options.HeartbeatEvery, _time, due.Token).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            // Or the wait would stay behind and swallow the next piece of news.
            await due.CancelAsync().ConfigureAwait(false);
            return false;
        }
        catch (OperationCanceledException) when (drain.IsCancellationRequested && !stop.IsCancellationRequested)
        {
            return true;
        }
    }

    private async Task ReadAsync(CancellationToken stop)
    {
        while (await TryReadAnswerAsync(stop).ConfigureAwait(false) is { } acked)
        {
            _spool.AcknowledgeThrough(_spoolId, acked);
            Interlocked.Decrement(ref _unanswered);
            Interlocked.Increment(ref _answers);
            _window.Release();
        }
    }

    // Null when the other side has ended the stream in peace.
    private async Task<ulong?> TryReadAnswerAsync(CancellationToken stop)
        => await _call.ResponseStream.MoveNext(stop).WaitAsync(_options.AnswerWithin, _time, stop).ConfigureAwait(false)
            ? _call.ResponseStream.Current.AckedSequence
            : null;

    // What the spool could not keep is a hole in what the collector sees, so it is said with the coverage.
    private Heartbeat Heartbeat(SpoolStatus status)
    {
        var heartbeat = new Heartbeat
        {
            Time = Timestamp.FromDateTimeOffset(_time.GetUtcNow()),
            SpoolDropped = status.GivenUp,
            Coverage = _coverage()?.Clone(),
        };
        string[] notes = [.. new[] { status.Problem, status.Damage }.OfType<string>().Select(line => $"spool: {line}")];
        if (notes.Length > 0)
        {
            (heartbeat.Coverage ??= new Coverage { Time = heartbeat.Time }).Notes.Add(notes);
        }

        return heartbeat;
    }

    private static RecordBatch Batch(List<SpooledBytes> records)
    {
        var batch = new RecordBatch();
        foreach (SpooledBytes each in records)
        {
            batch.Records.Add(new SpooledRecord { Sequence = each.Sequence, Record = OutputRecord.Parser.ParseFrom(each.Record) });
        }

        return batch;
    }
}
