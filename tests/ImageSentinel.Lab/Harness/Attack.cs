using System.Globalization;

namespace ImageSentinel.Lab.Harness;

/// <summary>One run of a scenario. Each has addresses and a tag of its own: what an earlier run reached is known by now,
/// and a build is found again by what only it has.</summary>
internal sealed record Attack(string Scenario, string Engine, string Builder, string Tag, string Address, string Address6, string SilentAddress)
{
    // The first addresses of the range are names' and mirrors' in the lab's zone.
    private static int _last = 9;

    public static Attack Next(string scenario, string engine, string builder)
    {
        int number = Interlocked.Increment(ref _last);
        if (number > 239)
        {
            throw new InvalidOperationException("more runs than the lab has outside addresses");
        }

        // Reading 239 as 239 % 96 keeps within the IPv6 addresses; few scenarios use them, so no two meet.
        return new Attack(
            scenario,
            engine,
            builder,
            string.Create(CultureInfo.InvariantCulture, $"lab/{scenario}:{builder}-{number}-{Environment.ProcessId}"),
            string.Create(CultureInfo.InvariantCulture, $"198.51.100.{number}"),
            string.Create(CultureInfo.InvariantCulture, $"2001:db8:64::{(number % 95) + 2:x}"),
            string.Create(CultureInfo.InvariantCulture, $"198.51.100.{240 + (number % 15)}"));
    }
}
