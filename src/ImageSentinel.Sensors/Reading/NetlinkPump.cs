using System.Buffers;
using ImageSentinel.Interop;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Sensors.Reading;

/// <summary>Moves datagrams from one netlink socket into the queue, on a thread of its own.</summary>
/// <remarks>
/// Owns the socket, the wake-up and the thread. Must not parse, look anything up or wait for anybody: while this
/// thread is away, the kernel's buffer fills and then drops in blocks. The batch's buffer belongs to the queue from
/// <see cref="ISensorQueue.TryWrite"/> on.
/// </remarks>
internal sealed class NetlinkPump : IDisposable
{
    private static readonly TimeSpan s_shortestPause = TimeSpan.FromMicroseconds(300);
    private static readonly TimeSpan s_longestPause = TimeSpan.FromMicroseconds(2400);

    /// <summary>On stop, what already waits is still delivered, up to this many reads: a flood must not hold a stop up.</summary>
    private const int LastReads = 64;

    private readonly SensorKind _kind;
    private readonly NetlinkSocket _socket;
    private readonly ISensorQueue _queue;
    private readonly LossLedger _ledger;
    private readonly Action<Exception> _onFailure;
    private readonly Wakeup _stop = Wakeup.Create();
    private readonly Thread _thread;
    private bool _started;
    private bool _holePending;

    /// <param name="kind">What the datagrams are.</param>
    /// <param name="socket">Ours from now on.</param>
    /// <param name="queue">Where batches go.</param>
    /// <param name="ledger">Where they are counted.</param>
    /// <param name="threadName">For ps; the kernel keeps 15 bytes.</param>
    /// <param name="onFailure">Called once, on the reading thread, when the socket has become useless.</param>
    public NetlinkPump(
        SensorKind kind, NetlinkSocket socket, ISensorQueue queue, LossLedger ledger, string threadName, Action<Exception> onFailure)
    {
        _kind = kind;
        _socket = socket;
        _queue = queue;
        _ledger = ledger;
        _onFailure = onFailure;
        _thread = new Thread(Run, maxStackSize: 256 * 1024) { IsBackground = true, Name = threadName };
    }

    /// <summary>The socket, for requests; sending beside the reading thread is safe.</summary>
    public NetlinkSocket Socket => _socket;

    /// <summary>Called on the reading thread with each batch before it is handed over; must only look, and be quick.</summary>
    public BatchPeek? Peek { get; init; }

    public void Start()
    {
        _started = true;
        _thread.Start();
    }

    /// <summary>Stops the thread once what waits in the socket is delivered, and closes the socket.</summary>
    public void Dispose()
    {
        _stop.Signal();
        if (_started)
        {
            _thread.Join();
        }

        _socket.Dispose();
        _stop.Dispose();
    }

    private void Run()
    {
        try
        {
            using var reader = new NetlinkReader(_socket);
            Pump(reader);
        }
        catch (LinuxException e)
        {
            _onFailure(e);
        }
    }

    private void Pump(NetlinkReader reader)
    {
        var gathering = new Gathering(s_shortestPause, s_longestPause);
        Func<PollResult> waitForData = () => _socket.Wait(_stop, Timeout.InfiniteTimeSpan);
        bool stopping = false;
        while (!stopping)
        {
            NetlinkReceipt receipt = Read(reader);
            stopping = receipt.More
                ? _socket.Wait(_stop, TimeSpan.Zero) == PollResult.Woken
                : gathering.Sleep(receipt.Records > 0, _stop, waitForData);
        }

        for (int i = 0; i < LastReads && Read(reader).Records > 0; i++)
        {
        }
    }

    private NetlinkReceipt Read(NetlinkReader reader)
    {
        NetlinkReceipt receipt = reader.Receive();
        if (receipt.Overflowed)
        {
            _ledger.Overflowed();
            _holePending = true;
        }

        if (receipt.Foreign > 0)
        {
            _ledger.FromProcesses(receipt.Foreign);
        }

        if (receipt.Truncated > 0)
        {
            _ledger.Moved(receipt.Truncated, queued: false);
        }

        if (receipt.Records > 0 || receipt.Truncated > 0 || _holePending)
        {
            Deliver(reader, receipt);
        }

        return receipt;
    }

    // A batch without bytes is a batch too: it says that something is missing and nothing followed yet.
    private void Deliver(NetlinkReader reader, in NetlinkReceipt receipt)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(receipt.FramedBytes);
        int length = reader.CopyTo(buffer);
        long hole = _holePending ? -1 : receipt.Truncated;
        _holePending = false;
        var item = new SensorItem(
            _kind, Clocks.BootNanoseconds, Clocks.WallNanoseconds, buffer, length, Pooled: true, LostBefore: hole);
        Peek?.Invoke(item.Span);
        bool queued = _queue.TryWrite(item, receipt.Records);
        _ledger.Moved(receipt.Records, queued);
    }
}

/// <summary>Looks at a batch of length-prefixed datagrams.</summary>
internal delegate void BatchPeek(ReadOnlySpan<byte> batch);
