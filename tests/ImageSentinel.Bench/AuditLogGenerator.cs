using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace ImageSentinel.Bench;

/// <summary>Makes a log of any length out of real events: the same records, with fresh serials, times and processes.</summary>
/// <remarks>
/// The mix is a build host's: 45 % connects, 30 % successful and 15 % failed execs, 10 % accepts. Every 20,000 events
/// all processes become others, so that a tool that keeps something per process keeps as much as it would in life.
/// The same arguments give the same bytes.
/// </remarks>
internal static partial class AuditLogGenerator
{
    private const int Seed = 1612;
    private const int EventsPerGeneration = 20_000;
    private const int ProcessShift = 30_000;
    private const long Begin = 1_700_000_000_000;

    /// <summary>Writes whole events until there are <paramref name="records"/> records.</summary>
    /// <param name="samples">Real records in auditd's text form.</param>
    /// <param name="output">The log to write.</param>
    /// <param name="records">How many, at least; end records are not counted.</param>
    /// <param name="rate">Events in a second of the log's time.</param>
    /// <param name="ends">Whether each event has its EOE record, as the live stream has and auditd's log has not.</param>
    /// <returns>One line that says what was written.</returns>
    public static string Write(string samples, string output, int records, int rate, bool ends)
    {
        (double Weight, List<SampleEvent> Events)[] pools = ReadPools(samples);
        var random = new Random(Seed);
        using var stream = new FileStream(output, FileMode.Create, FileAccess.Write, FileShare.Read, 1 << 20);
        long written = 0, events = 0, lines = 0;
        while (written < records)
        {
            List<SampleEvent> pool = Choose(pools, random.NextDouble());
            SampleEvent chosen = pool[random.Next(pool.Count)];
            long time = Begin + (events * 1000 / rate);
            string head = string.Create(
                CultureInfo.InvariantCulture, $"audit({time / 1000}.{time % 1000:000}:{1000 + events}):");
            string text = chosen.Render(head, (int)(events / EventsPerGeneration) * ProcessShift, ends);
            stream.Write(Encoding.UTF8.GetBytes(text));
            written += chosen.Records;
            lines += chosen.Records + (ends ? 1 : 0);
            events++;
        }

        return string.Create(
            CultureInfo.InvariantCulture, $"{written} records, {lines} lines, {events} events, {stream.Length} bytes");
    }

    private static List<SampleEvent> Choose((double Weight, List<SampleEvent> Events)[] pools, double at)
    {
        foreach ((double weight, List<SampleEvent> events) in pools)
        {
            if (at < weight)
            {
                return events;
            }

            at -= weight;
        }

        return pools[0].Events;
    }

    private static (double Weight, List<SampleEvent> Events)[] ReadPools(string samples)
    {
        SampleEvent[] events = [.. File.ReadLines(samples)
            .Where(line => line.StartsWith("type=", StringComparison.Ordinal))
            .Distinct()
            .GroupBy(line => Header().Match(line).Value)
            .Select(group => new SampleEvent([.. group]))];
        (double, List<SampleEvent>)[] pools =
        [
            (0.45, [.. events.Where(e => e.Is("42") && e.Holds("type=SOCKADDR"))]),
            (0.30, [.. events.Where(e => e.Is("59") && e.Holds("success=yes") && e.Holds("type=EXECVE"))]),
            (0.15, [.. events.Where(e => e.Is("59") && e.Holds("success=no"))]),
            (0.10, [.. events.Where(e => e.Is("288") || e.Is("49"))]),
        ];
        return pools.All(pool => pool.Item2.Count > 0)
            ? pools
            : throw new InvalidDataException($"{samples} lacks connects, execs or accepts");
    }

    [GeneratedRegex(@"audit\([0-9.]+:[0-9]+\):")]
    private static partial Regex Header();

    [GeneratedRegex(@"(?<= p?pid=)[0-9]+")]
    private static partial Regex Process();

    private sealed class SampleEvent(string[] lines)
    {
        private readonly string[] _lines = [.. lines.Where(line => !line.StartsWith("type=EOE ", StringComparison.Ordinal))];

        public int Records => _lines.Length;

        public bool Holds(string text) => _lines.Any(line => line.Contains(text, StringComparison.Ordinal));

        public bool Is(string call) => Holds($"arch=c000003e syscall={call} ");

        public string Render(string header, int shift, bool ends)
        {
            var text = new StringBuilder();
            foreach (string line in _lines)
            {
                string fresh = Process().Replace(
                    Header().Replace(line, header, 1),
                    match => (int.Parse(match.ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture) + shift)
                        .ToString(CultureInfo.InvariantCulture));
                text.Append(fresh).Append('\n');
            }

            return ends ? text.Append("type=EOE msg=").Append(header).Append(" \n").ToString() : text.ToString();
        }
    }
}
