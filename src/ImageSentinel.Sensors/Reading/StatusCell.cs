using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Sensors.Reading;

/// <summary>A sensor's state, told once per change.</summary>
internal sealed class StatusCell(string sensor, Action<SensorNotice>? onNotice)
{
    private readonly Lock _lock = new();
    private SensorStatus _value = new(SensorHealth.Off, "not started");

    public SensorStatus Value
    {
        get
        {
            lock (_lock)
            {
                return _value;
            }
        }
    }

    public void Set(SensorHealth health, string reason)
    {
        var next = new SensorStatus(health, reason);
        lock (_lock)
        {
            if (_value == next)
            {
                return;
            }

            _value = next;
        }

        // Outside the lock: the listener may ask for the value.
        onNotice?.Invoke(new SensorNotice(sensor, SensorNoticeKind.StatusChanged, reason));
    }
}
