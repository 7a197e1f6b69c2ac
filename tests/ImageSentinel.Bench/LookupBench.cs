using System.Diagnostics;
using System.Globalization;
using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Bench;

/// <summary>What a question to the baseline costs, and what a destination takes.</summary>
internal static class LookupBench
{
    private const int Seed = 1612;
    private const int Lookups = 2_000_000;
    private const int Rounds = 7;
    private const int ProbeCount = 1 << 16;

    /// <summary>Fills a table with random public IPv4 destinations and asks in random order, half of it for known ones.</summary>
    public static string Run(int destinations)
    {
        var random = new Random(Seed);
        var known = new Destination[destinations];
        for (int i = 0; i < destinations; i++)
        {
            known[i] = new Destination(NetAddress.FromIPv4((uint)random.NextInt64(1L << 24, 224L << 24)), 443, EgressProtocol.Tcp);
        }

        long before = GC.GetTotalMemory(forceFullCollection: true);
        var table = new DestinationTable();
        long start = Stopwatch.GetTimestamp();
        foreach (Destination destination in known)
        {
            _ = table.Add(destination, 1_700_000_000);
        }

        double add = Stopwatch.GetElapsedTime(start).TotalNanoseconds / destinations;
        long held = GC.GetTotalMemory(forceFullCollection: true) - before;

        var hits = new Destination[ProbeCount];
        var misses = new Destination[ProbeCount];
        for (int i = 0; i < ProbeCount; i++)
        {
            hits[i] = known[random.Next(destinations)];
            misses[i] = new Destination(NetAddress.FromIPv4((uint)random.NextInt64(224L << 24, 1L << 32)), 443, EgressProtocol.Tcp);
        }

        (double hit, long wrongHits) = Measure(table, hits, expected: true);
        (double miss, long wrongMisses) = Measure(table, misses, expected: false);
        return string.Create(CultureInfo.InvariantCulture, $"""
            destinations={table.Count} known_ns={hit:F1} new_ns={miss:F1} add_ns={add:F1} bytes_each={(double)table.Bytes / table.Count:F1} heap_mib={held / 1048576.0:F1} wrong={wrongHits + wrongMisses}
            """);
    }

    // Median of the rounds.
    private static (double Nanoseconds, long Wrong) Measure(DestinationTable table, Destination[] probes, bool expected)
    {
        double[] rounds = new double[Rounds];
        long wrong = 0;
        for (int round = 0; round < Rounds; round++)
        {
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < Lookups; i++)
            {
                wrong += table.TryFind(probes[i & (ProbeCount - 1)], out _, out _) == expected ? 0 : 1;
            }

            rounds[round] = Stopwatch.GetElapsedTime(start).TotalNanoseconds / Lookups;
        }

        Array.Sort(rounds);
        return (rounds[Rounds / 2], wrong);
    }
}
