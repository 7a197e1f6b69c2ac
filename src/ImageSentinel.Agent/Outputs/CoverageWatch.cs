using System.Globalization;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Outputs;

/// <summary>Turns one coverage record after the other into notices about what changed between them.</summary>
internal sealed class CoverageWatch
{
    private readonly Dictionary<string, (SensorState State, ulong Lost)> _last = new(StringComparer.Ordinal);

    public IEnumerable<Notice> Compare(Coverage coverage)
    {
        var notices = new List<Notice>();
        foreach (SensorCoverage sensor in coverage.Sensors)
        {
            ulong lost = sensor.LostInKernel + sensor.Dropped + sensor.Missing;
            bool known = _last.TryGetValue(sensor.Sensor, out (SensorState State, ulong Lost) before);
            _last[sensor.Sensor] = (sensor.State, lost);
            string name = Printable.Line(sensor.Sensor, 20);

            // The first record is told by the ready notice; only a change is news.
            if (known && sensor.State != before.State)
            {
                notices.Add(sensor.State == SensorState.Active
                    ? new Notice(NoticeKind.SensorRecovered, $"sensor {name} is active again")
                    : new Notice(NoticeKind.SensorDegraded, $"sensor {name} is {BuildWords.Sensor(sensor.State)}: {Printable.Sentence(sensor.Reason, 400)}"));
            }

            if (lost > before.Lost)
            {
                notices.Add(new Notice(
                    NoticeKind.EventsLost,
                    string.Create(CultureInfo.InvariantCulture, $"sensor {name} lost {lost - before.Lost} events; builds that ran meanwhile cannot be called clean")));
            }
        }

        return notices;
    }
}
