using Google.Protobuf.WellKnownTypes;
using ImageSentinel.Agent.Control;
using ImageSentinel.Agent.Uplink;
using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Model;
using ImageSentinel.Sensors.Lookups;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>What the control socket may ask of a running pipeline: snapshots out, facts in. Never touches the core.</summary>
internal sealed class PipelineState(
    SensorQueue queue, PipelineThread thread, DestinationBaseline baseline, EngineWatch engines, FindingSpool? spool) : IAgentState
{
    private static readonly TimeSpan BaselinePatience = TimeSpan.FromSeconds(5);

    private readonly DateTimeOffset _started = DateTimeOffset.UtcNow;
    private readonly Lock _lock = new();
    private V1.Coverage? _coverage;

    public CollectorUplink? Uplink { get; set; }

    public EvidenceKeeper? Evidence { get; set; }

    public byte[]? CaptureOf(string buildId) => Evidence?.Find(buildId);

    public V1.Coverage? Coverage
    {
        get
        {
            lock (_lock)
            {
                return _coverage;
            }
        }
    }

    /// <summary>Called on the pipeline thread.</summary>
    public void Publish(V1.Coverage coverage)
    {
        lock (_lock)
        {
            _coverage = coverage;
        }
    }

    public V1.GetStatusResponse GetStatus()
    {
        var status = new V1.GetStatusResponse
        {
            Coverage = Coverage?.Clone(),
            Started = Timestamp.FromDateTimeOffset(_started),
            SpoolDepth = (ulong)Math.Max(0, spool?.Status.Depth ?? 0),
            Collector = Uplink?.State.Text ?? "none",
            SpoolProblem = spool?.Status is { } kept ? kept.Problem ?? kept.Damage ?? "" : "",
            SpoolGivenUp = spool?.Status.GivenUp ?? 0,
        };
        status.Engines.AddRange(engines.Found.Select(static e => new V1.EngineStatus
        {
            Socket = e.Socket,
            Version = e.Version,
            DaemonPid = (uint)e.DaemonPid,
            DataRoot = e.DataRoot,
            Reachable = e.Reachable,
            Note = e.Note,
        }));
        return status;
    }

    public IReadOnlyCollection<V1.KnownDestination> ListDestinations() => OnPipeline(() => BaselineListing.Of(baseline));

    public void ApproveDestination(string destination, string reason)
    {
        _ = Check(destination);
        LookupService.Tell(queue, new BaselineFact(true, destination.Trim(), reason));

        // Answer when it is in force, so that a build started now is judged by it.
        _ = OnPipeline(static () => true);
    }

    public uint ForgetDestination(string destination)
    {
        DestinationPattern pattern = Check(destination);
        int before = ListDestinations().Count;
        LookupService.Tell(queue, new BaselineFact(false, pattern.Text, ""));
        return (uint)Math.Max(0, before - ListDestinations().Count);
    }

    private static DestinationPattern Check(string destination)
        => DestinationPattern.TryParse(destination, out DestinationPattern? pattern)
            ? pattern!
            : throw new FormatException($"\"{destination}\" is not a destination; write 203.0.113.66, 203.0.113.0/24, 203.0.113.66:443/tcp, [2001:db8::1]:443, mirror.corp.example or *.corp.example");

    private T OnPipeline<T>(Func<T> ask)
    {
        var answer = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        thread.Post(() => answer.TrySetResult(ask()));
        return answer.Task.Wait(BaselinePatience)
            ? answer.Task.Result
            : throw new TimeoutException("the pipeline did not answer in time; see: imagesentinel status");
    }
}
