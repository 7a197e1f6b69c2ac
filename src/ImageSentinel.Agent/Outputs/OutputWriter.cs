using System.Threading.Channels;
using ImageSentinel.V1;
using Microsoft.Extensions.Logging;

namespace ImageSentinel.Agent.Outputs;

/// <summary>
/// Takes records from the pipeline and gives them, batch by batch, to every output in the order of the list. One
/// background thread; the pipeline never waits for a disk.
/// </summary>
/// <remarks>
/// The durable spool goes first in the list, so that whatever a person was shown is also on its way to the collector.
/// An output that fails is told once when it begins to fail and once when it works again, with what it missed; the
/// others go on. A full queue drops the newest record and counts it; its last quarter is for findings alone: a build is told
/// again with its next change, a finding may be the only word about an attack.
/// </remarks>
public sealed partial class OutputWriter : IAsyncDisposable
{
    private const int QueueLength = 8192;
    private const int BatchLength = 256;

    private readonly ILogger _logger;
    private readonly int _length;
    private Slot[] _slots;
    private readonly Channel<object> _queue;
    private readonly Thread _thread;
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _dropped;
    private long _written;

    public OutputWriter(IEnumerable<IRecordOutput> outputs, ILogger<OutputWriter> logger, int queueLength = QueueLength)
    {
        _logger = logger;
        _length = queueLength;
        _slots = [.. outputs.Select(output => new Slot(output))];
        // Wait mode with TryWrite: in the drop modes TryWrite answers true for what it threw away.
        _queue = Channel.CreateBounded<object>(new BoundedChannelOptions(queueLength) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });
        _thread = new Thread(Run) { Name = "outputs", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Records thrown away because the queue was full.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    /// <summary>Records handed to the outputs.</summary>
    public long Written => Interlocked.Read(ref _written);

    /// <summary>Never blocks. The record belongs to the writer from here on and must not be changed any more.</summary>
    /// <returns>False when it was dropped and counted.</returns>
    public bool Write(OutputRecord record)
    {
        bool room = record.PayloadCase == OutputRecord.PayloadOneofCase.Finding || _queue.Reader.Count < _length - (_length / 4);
        if (room && _queue.Writer.TryWrite(record))
        {
            return true;
        }

        _ = Interlocked.Increment(ref _dropped);
        return false;
    }

    /// <summary>Passes a notice to people's outputs, in its place among the records.</summary>
    public void Tell(Notice notice) => _queue.Writer.TryWrite(notice);

    /// <summary>SIGHUP: files are opened again before the next record.</summary>
    public void Reopen() => _queue.Writer.TryWrite(ReopenRequest.Instance);

    /// <summary>Completes when everything written before has been handed to every output.</summary>
    public Task FlushAsync()
    {
        var flush = new FlushRequest();
        if (!_queue.Writer.TryWrite(flush))
        {
            // Full or closed: then the outputs are behind, and waiting for them is what the caller wanted to bound anyway.
            return _done.Task.IsCompleted ? Task.CompletedTask : WriteWhenRoom(flush);
        }

        return flush.Done.Task;
    }

    /// <summary>Another list of outputs from here on. Those no longer in it are disposed, those that stay keep their state.</summary>
    public void Replace(IReadOnlyList<IRecordOutput> outputs) => _queue.Writer.TryWrite(new ReplaceRequest(outputs));

    /// <summary>Takes no more, writes what is queued, closes the outputs.</summary>
    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        await _done.Task.ConfigureAwait(false);
    }

    private async Task WriteWhenRoom(FlushRequest flush)
    {
        try
        {
            await _queue.Writer.WriteAsync(flush).ConfigureAwait(false);
            await flush.Done.Task.ConfigureAwait(false);
        }
        catch (ChannelClosedException)
        {
            await _done.Task.ConfigureAwait(false);
        }
    }

    private void Run()
    {
        var batch = new List<OutputRecord>(BatchLength);
        try
        {
            while (_queue.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
            {
                while (_queue.Reader.TryRead(out object? item))
                {
                    switch (item)
                    {
                        case OutputRecord record:
                            batch.Add(record);
                            break;
                        case Notice notice:
                            WriteBatch(batch);
                            Each(slot => slot.Output.Tell(notice), records: 0);
                            break;
                        case ReopenRequest:
                            WriteBatch(batch);
                            Each(slot => slot.Output.Reopen(), records: 0);
                            break;
                        case FlushRequest flush:
                            WriteBatch(batch);
                            flush.Done.SetResult();
                            break;
                        case ReplaceRequest replace:
                            WriteBatch(batch);
                            Replace(replace);
                            break;
                    }

                    if (batch.Count >= BatchLength)
                    {
                        WriteBatch(batch);
                    }
                }

                WriteBatch(batch);
            }
        }
        finally
        {
            Each(slot => slot.Output.Dispose(), records: 0);
            _done.SetResult();
        }
    }

    private void WriteBatch(List<OutputRecord> batch)
    {
        if (batch.Count == 0)
        {
            return;
        }

        Each(slot => slot.Output.Write(batch), batch.Count);
        Interlocked.Add(ref _written, batch.Count);
        batch.Clear();
    }

    private void Each(Action<Slot> act, int records)
    {
        foreach (Slot slot in _slots)
        {
            try
            {
                act(slot);
                if (slot.Failing && records > 0)
                {
                    OutputWorksAgain(slot.Output.Name, slot.Missed);
                    TellOthers(slot, new(NoticeKind.OutputRecovered, $"output {slot.Output.Name} works again; {slot.Missed} records did not reach it"));
                    slot.Failing = false;
                    slot.Missed = 0;
                }
            }
#pragma warning disable CA1031 // Isolation is this loop's purpose: whatever one output throws, the others must still be served.
            catch (Exception e)
#pragma warning restore CA1031
            {
                slot.Missed += records;
                if (!slot.Failing)
                {
                    slot.Failing = true;
                    OutputFails(slot.Output.Name, e.Message);
                    TellOthers(slot, new(NoticeKind.OutputFailed, $"output {slot.Output.Name} fails: {e.Message}"));
                }
            }
        }
    }

    private void Replace(ReplaceRequest request)
    {
        Slot[] before = _slots;
        _slots = [.. request.Outputs.Select(output => before.FirstOrDefault(slot => slot.Output == output) ?? new Slot(output))];
        foreach (Slot gone in before.Except(_slots))
        {
            gone.Output.Dispose();
        }
    }

    private void TellOthers(Slot failed, Notice notice)
    {
        foreach (Slot slot in _slots)
        {
            if (slot == failed || slot.Failing)
            {
                continue;
            }

            try
            {
                slot.Output.Tell(notice);
            }
#pragma warning disable CA1031 // A notice about one output must not take down another.
            catch (Exception e)
#pragma warning restore CA1031
            {
                OutputFails(slot.Output.Name, e.Message);
            }
        }
    }

    [LoggerMessage(4000, LogLevel.Error, "output {Output} fails: {Reason}; further failures are counted, not repeated")]
    private partial void OutputFails(string output, string reason);

    [LoggerMessage(4001, LogLevel.Warning, "output {Output} works again; {Missed} records did not reach it")]
    private partial void OutputWorksAgain(string output, long missed);

    private sealed class Slot(IRecordOutput output)
    {
        public IRecordOutput Output { get; } = output;

        public bool Failing { get; set; }

        public long Missed { get; set; }
    }

    private sealed record ReplaceRequest(IReadOnlyList<IRecordOutput> Outputs);

    private sealed class FlushRequest
    {
        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private sealed class ReopenRequest
    {
        public static readonly ReopenRequest Instance = new();
    }
}
