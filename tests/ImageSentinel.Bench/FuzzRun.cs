using System.Diagnostics;
using System.Globalization;
using ImageSentinel.Tests.Kernel;

namespace ImageSentinel.Bench;

/// <summary>Millions of damaged messages through one parser; a find is printed with its bytes and ends the run.</summary>
internal static class FuzzRun
{
    public static string Run(string target, int inputs, int seed)
    {
        if (!PacketFuzz.Targets.Contains(target))
        {
            throw new FormatException($"no such target: {target} ({string.Join(", ", PacketFuzz.Targets)})");
        }

        var fuzz = new PacketFuzz(target, seed);
        long start = Stopwatch.GetTimestamp();
        long slowest = 0;
        for (int i = 0; i < inputs; i++)
        {
            long before = Stopwatch.GetTimestamp();
            try
            {
                fuzz.Next();
            }
            catch (Exception e)
            {
                throw new InvalidDataException($"{target}, seed {seed}, input {i}: {Convert.ToHexString(fuzz.Input)}\n{e}", e);
            }

            slowest = Math.Max(slowest, Stopwatch.GetTimestamp() - before);
        }

        TimeSpan took = Stopwatch.GetElapsedTime(start);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"fuzz={target} seed={seed} inputs={inputs} taken={fuzz.Verdicts[0]} cut={fuzz.Verdicts[1]} refused={fuzz.Verdicts[2]} ns_each={took.TotalNanoseconds / inputs:F0} slowest_ms={slowest * 1000.0 / Stopwatch.Frequency:F1} finds=0");
    }
}
