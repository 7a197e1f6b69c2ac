using System.Diagnostics;

namespace ImageSentinel.Sensors.History;

/// <summary>How much of a history is taken in: facts are never dropped by the queue, so whoever makes them keeps the bound.</summary>
internal sealed class HistoryBudget
{
    /// <summary>Steps of one build; a Dockerfile has tens.</summary>
    public const int MaximumVertexes = 2048;

    private const int PerMinute = 6000;

    private readonly Lock _lock = new();
    private long _minute = Stopwatch.GetTimestamp();
    private int _taken;

    public bool Take()
    {
        lock (_lock)
        {
            if (Stopwatch.GetElapsedTime(_minute) > TimeSpan.FromMinutes(1))
            {
                _minute = Stopwatch.GetTimestamp();
                _taken = 0;
            }

            return ++_taken <= PerMinute;
        }
    }
}
