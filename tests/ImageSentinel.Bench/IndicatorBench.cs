using System.Diagnostics;
using System.Globalization;
using System.Text;
using ImageSentinel.Detection.Indicators;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Bench;

/// <summary>What a feed costs to load, and a question to ask: a quarter each of addresses, names, hashes and networks.</summary>
internal static class IndicatorBench
{
    private const int Seed = 1612;
    private const int Lookups = 1_000_000;
    private const int Probes = 1 << 14;

    public static string Run(int count)
    {
        byte[] feed = Feed(count);
        long before = GC.GetTotalMemory(forceFullCollection: true);
        long start = Stopwatch.GetTimestamp();
        var builder = new IndicatorSetBuilder();
        builder.From("feed");
        IndicatorReport report = PlainListReader.Read(feed, builder);
        IndicatorSet set = builder.Build();
        double load = Stopwatch.GetElapsedTime(start).TotalSeconds;
        long held = GC.GetTotalMemory(forceFullCollection: true) - before;

        var random = new Random(Seed);
        NetAddress[] addresses = [.. Enumerable.Range(0, Probes).Select(_ => NetAddress.FromIPv4((uint)random.NextInt64(1L << 24, 224L << 24)))];
        string[] names = [.. Enumerable.Range(0, Probes).Select(i => i % 2 == 0 ? $"a.b.n{random.Next(count)}.evil.example" : $"deep.er.n{i}.harmless.example")];
        string[] hashes = [.. Enumerable.Range(0, Probes).Select(_ => Hash(random))];
        double address = Measure(i => set.FindAddress(addresses[i]) is not null);
        double name = Measure(i => set.FindName(names[i]) is not null);
        double hash = Measure(i => set.FindHash(hashes[i]) is not null);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"indicators={set.Count} bad={report.Bad} load_s={load:F2} heap_mib={held / 1048576.0:F1} address_ns={address:F0} name_ns={name:F0} hash_ns={hash:F0}");
    }

    private static double Measure(Func<int, bool> ask)
    {
        long found = 0;
        for (int i = 0; i < Lookups / 4; i++)
        {
            found += ask(i & (Probes - 1)) ? 1 : 0;
        }

        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < Lookups; i++)
        {
            found += ask(i & (Probes - 1)) ? 1 : 0;
        }

        GC.KeepAlive(found);
        return Stopwatch.GetElapsedTime(start).TotalNanoseconds / Lookups;
    }

    private static byte[] Feed(int count)
    {
        var random = new Random(Seed + 1);
        var text = new StringBuilder();
        for (int i = 0; i < count; i++)
        {
            _ = (i % 4) switch
            {
                0 => text.Append(NetAddress.FromIPv4((uint)random.NextInt64(1L << 24, 224L << 24))),
                1 => text.Append(CultureInfo.InvariantCulture, $"n{i}.evil.example"),
                2 => text.Append(Hash(random)),
                _ => text.Append(NetAddress.FromIPv4((uint)random.NextInt64(1L << 24, 224L << 24))).Append('/').Append(random.Next(16, 30)),
            };
            _ = text.Append('\n');
        }

        return Encoding.ASCII.GetBytes(text.ToString());
    }

    private static string Hash(Random random)
    {
        byte[] bytes = new byte[32];
        random.NextBytes(bytes);
        return Convert.ToHexStringLower(bytes);
    }
}
