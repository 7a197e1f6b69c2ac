using ImageSentinel.Agent.Commands;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Pipeline;
using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Indicators;
using ImageSentinel.Detection.Model;
using ImageSentinel.Sensors.Replay;
using ImageSentinel.Sensors.Stream;
using ImageSentinel.V1;
using CoreMode = ImageSentinel.Detection.Baseline.BaselineMode;

namespace ImageSentinel.Agent.Composition;

/// <summary>Plays a capture through the production path: same processor, same core, same mapper; no root, no clock.</summary>
internal sealed class ReplayRunner : IReplayRunner
{
    public Task<ReplaySummary> RunAsync(Stream capture, string name, AgentOptions options, Action<OutputRecord> emit, CancellationToken cancellation)
        => Task.Run(() => Run(capture, name, options, emit, cancellation), cancellation);

    private static ReplaySummary Run(Stream capture, string name, AgentOptions options, Action<OutputRecord> emit, CancellationToken cancellation)
    {
        long items = 0;
        SensorItem first = default;
        SensorItem last = default;
        try
        {
            using var reader = new CaptureReader(capture, name);
            CoreParts? core = null;
            while (reader.TryRead(out SensorItem item))
            {
                cancellation.ThrowIfCancellationRequested();
                core ??= Create(options, item, emit);
                first = items == 0 ? item : first;
                last = item;
                items++;
                if (core.Processor.Process(item) is ReadyFact)
                {
                    emit(new OutputRecord { Coverage = core.Mapper.Coverage(new Stamp(item.BootNanoseconds, item.WallNanoseconds)) });
                }
            }
        }
        catch (CaptureException e)
        {
            throw new CommandException(ExitCode.Failure, e.Message);
        }

        return new ReplaySummary(items, TimeSpan.FromTicks((last.BootNanoseconds - first.BootNanoseconds) / 100), false);
    }

    // The baseline begins empty with the capture: a capture holds what was seen, not what had been learned before.
    private static CoreParts Create(AgentOptions options, in SensorItem first, Action<OutputRecord> emit)
    {
        DateTimeOffset start = new Stamp(first.BootNanoseconds, first.WallNanoseconds).Time;
        bool learning = options.Baseline.Mode == Options.BaselineMode.Learning;
        var baseline = new DestinationBaseline(new CoreMode(learning, start, learning ? start + options.Baseline.LearnFor : start));
        return CoreFactory.Create(options, baseline, IndicatorFiles.Read(options.Indicators, start, Refuse), emit, static _ => { });
    }

    // A replay answers for its result: a feed that cannot be read would change it silently.
    private static void Refuse(string file, IndicatorReport report, string problem)
    {
        if (problem.Length > 0)
        {
            throw new CommandException(ExitCode.Failure, $"{file}: {problem}");
        }
    }
}
