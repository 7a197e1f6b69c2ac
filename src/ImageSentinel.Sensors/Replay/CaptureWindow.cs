using ImageSentinel.Detection.Model;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Sensors.Replay;

/// <summary>The last moments of the stream, in memory: what a finding can be replayed from without anybody having recorded.</summary>
/// <remarks>
/// Beside the moments it keeps what a replay needs from before: the host, the engines, the sensors, the processes found at
/// start. Bounded by bytes, and by bytes a second: while the host is flooded it keeps nothing but says so, since seconds
/// of a flood would push out minutes of a build. One thread writes; a snapshot may be taken from any.
/// </remarks>
public sealed class CaptureWindow
{
    public const long MaximumBytes = 16L << 20;
    private const long MaximumPerSecond = 2L << 20;
    private const int MaximumProcesses = 2048;

    private readonly Lock _lock = new();
    private readonly Queue<SensorItem> _items = new();
    private readonly Dictionary<string, SensorItem> _before = new(StringComparer.Ordinal);
    private long _bytes;
    private long _second;
    private long _inSecond;
    private int _processes;
    private long _skippedAt = long.MinValue;

    public void Keep(in SensorItem item, Fact? fact)
    {
        lock (_lock)
        {
            long second = item.BootNanoseconds / Stamp.Second;
            if (second != _second)
            {
                (_second, _inSecond) = (second, 0);
            }

            _inSecond += item.Length;
            if (_inSecond > MaximumPerSecond && item.Kind is not (SensorKind.Facts or SensorKind.SensorState or SensorKind.Tick))
            {
                _skippedAt = item.BootNanoseconds;
                return;
            }

            SensorItem own = item with { Bytes = item.Span.ToArray(), Pooled = false };
            if (fact is not null && KeyOf(fact) is { } key)
            {
                _before[key] = own;
            }

            _items.Enqueue(own);
            _bytes += own.Length;
            while (_bytes > MaximumBytes)
            {
                _bytes -= _items.Dequeue().Length;
            }
        }
    }

    /// <summary>Everything since a moment, with what a replay needs from before it in front.</summary>
    /// <param name="wallNanoseconds">The moment, wall clock.</param>
    /// <param name="whole">False when something of that time is no longer here, or never was.</param>
    public IReadOnlyList<SensorItem> Since(long wallNanoseconds, out bool whole)
    {
        lock (_lock)
        {
            List<SensorItem> items = [.. _items.SkipWhile(i => i.WallNanoseconds < wallNanoseconds)];
            if (items.Count == 0)
            {
                whole = false;
                return [];
            }

            SensorItem first = items[0];
            whole = _items.Peek().WallNanoseconds <= wallNanoseconds && _skippedAt < first.BootNanoseconds;

            // Told again as of the window's beginning: time must not run backwards.
            IEnumerable<SensorItem> before = _before.Values
                .Where(b => b.BootNanoseconds < first.BootNanoseconds)
                .OrderBy(static b => FactCodec.FromItem(b) is ReadyFact)
                .ThenBy(static b => b.BootNanoseconds)
                .Select(b => b with { BootNanoseconds = first.BootNanoseconds, WallNanoseconds = first.WallNanoseconds });
            return [.. before, .. items];
        }
    }

    private string? KeyOf(Fact fact)
    {
        switch (fact)
        {
            case HostFact:
                return "host";
            case EngineFact engine:
                return $"engine{engine.Index}";
            case SensorFact sensor:
                return $"sensor{sensor.Sensor}";
            case TagsFact tags:
                return $"tags{tags.Engine}";
            case ReadyFact:
                return "ready";
            case ProcessFact process when _processes < MaximumProcesses || _before.ContainsKey($"process{process.Pid}"):
                _processes += _before.ContainsKey($"process{process.Pid}") ? 0 : 1;
                return $"process{process.Pid}";
            default:
                return null;
        }
    }
}
