using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using ImageSentinel.Interop;
using ImageSentinel.Kernel.Audit;
using ImageSentinel.Kernel.Numbers;
using ImageSentinel.Sensors.Audit;
using ImageSentinel.Sensors.Stream;
using ImageSentinel.Tests.Support;
using NUnit.Framework;

namespace ImageSentinel.Tests.Sensors;

/// <summary>The figures of docs/audit-role.md. Not a test: it asserts nothing about time and runs only when named.</summary>
[Explicit("a measurement of minutes; see docs/audit-role.md")]
[RequiresAudit]
[RequiresCompiler]
[NonParallelizable]
public sealed class AuditRoleMeasurement
{
    private const int Rounds = 3;
    private const int Storms = 1;
    private const int FloodConnects = 60_000;
    private const int StoppedConnects = 60_000;
    private static readonly TimeSpan s_paced = TimeSpan.FromSeconds(5);

    // 15,000 jiffies are the kernel's own default, 60 s at 250 ticks a second; 12 are 48 ms there.
    private static readonly Variant[] s_variants =
    [
        new(AuditReading.Multicast, 15_000),
        new(AuditReading.Multicast, 0),
        new(AuditReading.Owner, 0),
        new(AuditReading.Owner, 12),
        new(AuditReading.Multicast, 12),
    ];

    [Test]
    public async Task Compare_multicast_with_owning_the_role()
    {
        string storm = CompileStorm();
        try
        {
            var none = new List<StormFigures>();
            var results = s_variants.ToDictionary(v => v, _ => new List<Figures>());
            for (int round = 0; round < Rounds; round++)
            {
                none.Add(Storm(storm, FloodConnects, 0));
                foreach (Variant variant in round % 2 == 0 ? s_variants : s_variants.Reverse())
                {
                    results[variant].Add(await MeasureAsync(variant, storm));
                }
            }

            await TestContext.Out.WriteLineAsync($"without us: connect mean {Median(none, n => n.Mean):F0} ns, p99 {Median(none, n => n.P99):F0}, CPU {Median(none, n => n.Cpu):F0}");
            foreach ((Variant variant, List<Figures> rounds) in results)
            {
                await TestContext.Out.WriteLineAsync(
                    $"""
                    {variant}, medians of {rounds.Count} rounds:
                      flood by {Storms}: connect mean {Median(rounds, r => r.Flood.Mean):F0} ns, p50 {Median(rounds, r => r.Flood.P50):F0}, p99 {Median(rounds, r => r.Flood.P99):F0}, max {Median(rounds, r => r.Flood.Max):F0}, CPU of the caller {Median(rounds, r => r.Flood.Cpu):F0}
                      flood: our CPU {Median(rounds, r => r.AgentNanosecondsPerConnect):F0} ns per connect, kauditd {Median(rounds, r => r.KauditdNanosecondsPerConnect):F0}; records per connect {Median(rounds, r => r.RecordsPerConnect):F2}; kernel lost {Median(rounds, r => r.FloodLost)}, overflows {Median(rounds, r => r.FloodOverflows)}
                      paced 1000/s for {s_paced.TotalSeconds:F0} s: {Median(rounds, r => r.LogLines) / s_paced.TotalSeconds:F2} kernel log lines/s, {Median(rounds, r => r.LogBytes) / s_paced.TotalSeconds:F0} bytes/s; connect p50 {Median(rounds, r => r.Paced.P50):F0}, p99 {Median(rounds, r => r.Paced.P99):F0}
                      reader stopped, {StoppedConnects} connects: mean {Median(rounds, r => r.Stopped.Mean):F0} ns, max {Median(rounds, r => r.Stopped.Max):F0}; records delivered {Median(rounds, r => r.StoppedRecords):F0}; kernel lost {Median(rounds, r => r.StoppedLost):F0}, overflows {Median(rounds, r => r.StoppedOverflows)}; still the owner after: {rounds.Count(r => r.RoleAfter == AuditReading.Owner)} of {rounds.Count}
                    """);
            }
        }
        finally
        {
            File.Delete(storm);
        }
    }

    private static async Task<Figures> MeasureAsync(Variant variant, string storm)
    {
        using var control = AuditControl.Open();
        uint waitBefore = control.GetStatus().BacklogWaitTime;
        SetWait(control, variant.WaitTime);
        try
        {
            return await MeasureAsync(variant, storm, control);
        }
        finally
        {
            SetWait(control, waitBefore);
        }
    }

    private static void SetWait(AuditControl control, uint jiffies)
        => Assert.That(control.Set(AuditConstants.AUDIT_STATUS_BACKLOG_WAIT_TIME, new AuditStatus { BacklogWaitTime = jiffies }), Is.Zero);

    private static async Task<Figures> MeasureAsync(Variant variant, string storm, AuditControl control)
    {
        using var queue = new CountingQueue();
        var figures = new Figures();
        await using var sensor = new AuditSensor(new AuditSensorOptions { Reading = variant.Reading, BacklogWaitTime = variant.WaitTime, PollInterval = TimeSpan.FromSeconds(1) });
        sensor.Start(queue);
        if (sensor.Reading != variant.Reading)
        {
            Assert.Inconclusive("another process has the audit daemon's role");
        }

        // 1. Flood, reader reading.
        uint lost = control.GetStatus().Lost;
        long cpu = Clocks.ProcessCpuNanoseconds;
        long kauditd = KauditdNanoseconds();
        long records = queue.Records;
        long overflows = sensor.Losses.Overflows;
        StormFigures[] floods = await Task.WhenAll(Enumerable.Range(0, Storms).Select(_ => Task.Run(() => Storm(storm, FloodConnects, 0))));
        figures.Flood = floods.MaxBy(f => f.Mean)!;
        Settle(queue);
        figures.AgentNanosecondsPerConnect = (Clocks.ProcessCpuNanoseconds - cpu) / (double)(FloodConnects * Storms);
        figures.KauditdNanosecondsPerConnect = (KauditdNanoseconds() - kauditd) / (double)(FloodConnects * Storms);
        figures.RecordsPerConnect = (queue.Records - records) / (double)(FloodConnects * Storms);
        figures.FloodLost = control.GetStatus().Lost - lost;
        figures.FloodOverflows = sensor.Losses.Overflows - overflows;

        // 2. A steady host: what reaches the kernel log.
        using (var log = new KernelLog())
        {
            figures.Paced = Storm(storm, (int)s_paced.TotalSeconds * 1000, 1000);
            (figures.LogLines, figures.LogBytes) = log.AuditLines();
        }

        // 3. Flood, reader stopped: the queue holds our thread, as a stuck or stopped agent would.
        lost = control.GetStatus().Lost;
        overflows = sensor.Losses.Overflows;
        records = queue.Records;
        queue.Hold();
        figures.Stopped = Storm(storm, StoppedConnects, 0);
        await Task.Delay(2000);
        queue.Release();
        Settle(queue);
        figures.StoppedRecords = queue.Records - records;
        figures.StoppedLost = control.GetStatus().Lost - lost;
        figures.StoppedOverflows = sensor.Losses.Overflows - overflows;
        await Task.Delay(1500);
        figures.RoleAfter = sensor.Reading;
        return figures;
    }

    private static string CompileStorm()
    {
        string program = Path.Combine(Path.GetTempPath(), $"is-connect-storm-{Environment.ProcessId}");
        using Process compiler = Process.Start("cc", ["-O2", "-o", program, RepositoryFiles.PathOf("native", "measure", "connect-storm.c")]);
        compiler.WaitForExit();
        Assert.That(compiler.ExitCode, Is.Zero);
        return program;
    }

    private static StormFigures Storm(string program, int count, int periodMicroseconds)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, [$"{count}", $"{periodMicroseconds}"]) { RedirectStandardOutput = true })!;
        long[] numbers = [.. process.StandardOutput.ReadToEnd().Split(' ').Select(n => long.Parse(n, CultureInfo.InvariantCulture))];
        process.WaitForExit();
        return new StormFigures(numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]);
    }

    // Until the storm's records are through; what else the host does goes on for ever.
    private static void Settle(CountingQueue queue)
    {
        const int background = 600;
        for (long last = queue.Records - background - 1, rounds = 0; queue.Records - last > background && rounds < 20; rounds++)
        {
            last = queue.Records;
            Thread.Sleep(200);
        }
    }

    // utime + stime of the kernel thread; sum_exec_runtime of schedstat has nanoseconds.
    private static long KauditdNanoseconds()
    {
        string? directory = Directory.EnumerateDirectories("/proc").FirstOrDefault(d => char.IsDigit(Path.GetFileName(d)[0])
            && File.Exists(d + "/comm") && File.ReadAllText(d + "/comm").Trim() == "kauditd");
        return directory is null ? 0 : long.Parse(File.ReadAllText(directory + "/schedstat").Split(' ')[0], CultureInfo.InvariantCulture);
    }

    private static double Median<T>(List<T> values, Func<T, double> select)
    {
        double[] sorted = [.. values.Select(select).Order()];
        return sorted[sorted.Length / 2];
    }

    private sealed record Variant(AuditReading Reading, uint WaitTime);

    private sealed record StormFigures(long Mean, long P50, long P99, long Max, long Cpu);

    private sealed class Figures
    {
        public StormFigures Flood { get; set; } = null!;

        public StormFigures Paced { get; set; } = null!;

        public StormFigures Stopped { get; set; } = null!;

        public double AgentNanosecondsPerConnect { get; set; }

        public double KauditdNanosecondsPerConnect { get; set; }

        public double RecordsPerConnect { get; set; }

        public long FloodLost { get; set; }

        public long FloodOverflows { get; set; }

        public long LogLines { get; set; }

        public long LogBytes { get; set; }

        public long StoppedRecords { get; set; }

        public long StoppedLost { get; set; }

        public long StoppedOverflows { get; set; }

        public AuditReading RoleAfter { get; set; }
    }

    private sealed class CountingQueue : ISensorQueue, IDisposable
    {
        private readonly ManualResetEventSlim _open = new(true);
        private long _records;

        public long Records => Interlocked.Read(ref _records);

        public void Hold() => _open.Reset();

        public void Release() => _open.Set();

        public void Dispose() => _open.Dispose();

        public bool TryWrite(in SensorItem item, int records)
        {
            _open.Wait();
            Interlocked.Add(ref _records, records);
            if (item.Pooled)
            {
                ArrayPool<byte>.Shared.Return(item.Bytes);
            }

            return true;
        }
    }

    /// <summary>The kernel log from now on, read without disturbing anybody: /dev/kmsg keeps a place per reader.</summary>
    private sealed class KernelLog : IDisposable
    {
        private readonly Process _reader;
        private readonly List<string> _lines = [];

        public KernelLog()
        {
            _reader = Process.Start(new ProcessStartInfo("dmesg", ["--follow-new", "--raw"]) { RedirectStandardOutput = true })!;
            _reader.OutputDataReceived += (_, line) =>
            {
                lock (_lines)
                {
                    _lines.Add(line.Data ?? "");
                }
            };
            _reader.BeginOutputReadLine();
            Thread.Sleep(300);
        }

        public (long Lines, long Bytes) AuditLines()
        {
            Thread.Sleep(300);
            lock (_lines)
            {
                string[] ours = [.. _lines.Where(l => l.Contains("audit: type=", StringComparison.Ordinal) || l.Contains("kauditd_printk_skb", StringComparison.Ordinal))];
                return (ours.Length, ours.Sum(l => (long)l.Length));
            }
        }

        public void Dispose()
        {
            _reader.Kill();
            _reader.Dispose();
        }
    }
}
