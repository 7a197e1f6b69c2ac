using System.Buffers.Binary;
using System.Collections.Concurrent;
using ImageSentinel.Detection.Model;
using ImageSentinel.Interop;
using ImageSentinel.Sensors.Replay;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>The one thread that understands: takes batches from the queue, puts them in order, runs the core.</summary>
/// <remarks>Owns the core's state; nobody else may touch it while this thread runs. Time reaches the core only through items,
/// ticks among them, so that a recording replays to the same result.</remarks>
internal sealed class PipelineThread : IDisposable
{
    private static readonly TimeSpan BusyTick = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan IdleTick = TimeSpan.FromMilliseconds(250);

    private readonly SensorQueue _queue;
    private readonly StreamProcessor _processor;
    private readonly Action<Fact, Stamp> _onFact;
    private readonly Timeline _timeline = new();
    private readonly Thread _thread;
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CaptureWriter? _recorder;
    private CaptureWindow? _window;
    private readonly ConcurrentQueue<Action> _posted = new();
    private long _lastTick;
    private long _progress;
    private volatile bool _stopping;

    /// <param name="queue">Where the sensors write.</param>
    /// <param name="processor">Used by this thread only, from <see cref="Start"/> on.</param>
    /// <param name="onFact">Called on this thread after a fact was processed.</param>
    public PipelineThread(SensorQueue queue, StreamProcessor processor, Action<Fact, Stamp> onFact)
    {
        _queue = queue;
        _processor = processor;
        _onFact = onFact;
        _thread = new Thread(Run, maxStackSize: 1 << 20) { IsBackground = true, Name = "is-pipeline" };
    }

    /// <summary>Grows with every item and tick.</summary>
    public long Progress => Interlocked.Read(ref _progress);

    public Task Completion => _completion.Task;

    /// <summary>Runs something on this thread, between two items: the one way for others to look at the core.</summary>
    public void Post(Action action)
    {
        _posted.Enqueue(action);
    }

    /// <summary>Writes every item to a capture from now on; set before <see cref="Start"/>.</summary>
    public void Record(CaptureWriter recorder) => _recorder = recorder;

    /// <summary>Keeps the last moments of the stream there from now on; set before <see cref="Start"/>.</summary>
    public void Remember(CaptureWindow window) => _window = window;

    public void Start() => _thread.Start();

    /// <summary>Processes what is queued, then ends the thread.</summary>
    public void Stop()
    {
        _stopping = true;
        if (_thread.ThreadState != ThreadState.Unstarted)
        {
            _thread.Join();
        }
    }

    public void Dispose() => Stop();

    private void Run()
    {
        try
        {
            Loop();
            _completion.TrySetResult();
        }
#pragma warning disable CA1031 // The thread's last line: whatever it was, the agent must learn that nobody watches any more.
        catch (Exception e)
#pragma warning restore CA1031
        {
            _completion.TrySetException(e);
        }
    }

    private void Loop()
    {
        while (true)
        {
            while (_posted.TryDequeue(out Action? action))
            {
                action();
            }

            long now = Clocks.BootNanoseconds;
            while (_timeline.TryRelease(now, draining: false, out SensorItem due))
            {
                Process(due);
            }

            TimeSpan interval = _processor.Core.Builds.Active.Count > 0 || _timeline.Held > 0 ? BusyTick : IdleTick;
            TimeSpan sinceTick = TimeSpan.FromTicks((now - _lastTick) / 100);
            if (sinceTick >= interval)
            {
                Tick(now);
                sinceTick = TimeSpan.Zero;
            }

            TimeSpan patience = interval - sinceTick;
            if (_timeline.UntilNext(now) is { } untilNext && untilNext < patience)
            {
                patience = untilNext;
            }

            if (_queue.TryRead(out SensorItem item, _stopping ? TimeSpan.Zero : patience))
            {
                if (_timeline.Admit(item))
                {
                    Process(item);
                }
            }
            else if (_stopping)
            {
                break;
            }
        }

        while (_timeline.TryRelease(0, draining: true, out SensorItem rest))
        {
            Process(rest);
        }

        Tick(Clocks.BootNanoseconds);
        Process(FactCodec.ToItem(new StoppedFact(), Clocks.BootNanoseconds, Clocks.WallNanoseconds));
    }

    private void Tick(long now)
    {
        _lastTick = now;
        byte[] bytes = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, now - Clocks.MonotonicNanoseconds);
        Process(new SensorItem(SensorKind.Tick, now, Clocks.WallNanoseconds, bytes, bytes.Length));
    }

    private void Process(in SensorItem item)
    {
        _recorder?.Write(item);
        Fact? fact = _processor.Process(item);
        _window?.Keep(item, fact);
        _ = Interlocked.Increment(ref _progress);
        if (fact is HostFact or SensorFact or EngineFact or ReadyFact)
        {
            _onFact(fact, new Stamp(item.BootNanoseconds, item.WallNanoseconds));
        }

        SensorQueue.Return(item);
    }
}
