using System.Buffers.Binary;
using ImageSentinel.Detection;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Model;
using ImageSentinel.Sensors.Normalize;

namespace ImageSentinel.Sensors.Stream;

/// <summary>Item → normalizer → core, in stream order. Live agent, replay, tests and benchmarks all run this.</summary>
public sealed class StreamProcessor(SentinelCore core)
{
    private readonly AuditNormalizer _audit = new(core);
    private readonly ProcessNormalizer _processes = new(core);
    private readonly FileNormalizer _files = new(core);
    private readonly ConntrackNormalizer _conntrack = new(core);
    private readonly PacketNormalizer _packets = new(core);

    public SentinelCore Core => core;

    /// <summary>Items, records or facts that contradicted themselves and were refused.</summary>
    public long Malformed => _audit.Malformed + _processes.Malformed + _files.Malformed + _conntrack.Malformed + _facts;

    private long _facts;

    /// <summary>Takes one item in. The buffer is not kept; the caller returns it.</summary>
    /// <returns>The fact the item held, decoded once for everybody; null for every other kind.</returns>
    public Fact? Process(in SensorItem item)
    {
        Fact? fact = null;
        var at = new Stamp(item.BootNanoseconds, item.WallNanoseconds);
        switch (item.Kind)
        {
            case SensorKind.Audit:
                // Serial numbers tell exactly what is missing behind the kernel's queue: an announced hole would count
                // twice. What the kernel discarded before it got a number is announced by an item without records.
                if (item.Length == 0)
                {
                    TellHole(item, at, "audit");
                }

                _audit.Normalize(item);
                break;
            case SensorKind.Processes:
                // The same holds for the connector's per-processor numbers.
                _processes.Normalize(item);
                break;
            case SensorKind.Files:
                TellHole(item, at, "fanotify");
                _files.Normalize(item);
                break;
            case SensorKind.Conntrack:
                TellHole(item, at, "conntrack");
                _conntrack.Normalize(item);
                break;
            case SensorKind.Packets:
                TellHole(item, at, "names");
                _packets.Normalize(item);
                break;
            case SensorKind.Facts or SensorKind.SensorState:
                fact = OnFact(item, at);
                break;
            case SensorKind.Tick:
                if (item.Length >= sizeof(long))
                {
                    _processes.MonotonicToBoot = BinaryPrimitives.ReadInt64LittleEndian(item.Span);
                }

                _audit.Tick(at);
                core.OnTick(at);
                return null;
        }

        core.Flush(at);
        return fact;
    }

    private Fact? OnFact(in SensorItem item, Stamp at)
    {
        Fact? fact = FactCodec.FromItem(item);
        if (fact is not null)
        {
            core.OnFact(at, fact);
        }
        else
        {
            _facts++;
        }

        return fact;
    }

    private void TellHole(in SensorItem item, Stamp at, string sensor)
    {
        if (item.LostBefore != 0)
        {
            core.On(new LossNoticed
            {
                At = at,
                Sensor = sensor,
                Count = item.LostBefore,
                Cause = sensor == "audit" ? "the kernel's backlog was full" : item.LostBefore < 0 ? "the kernel's queue overflowed" : "our queue was full",
            });
        }
    }
}
