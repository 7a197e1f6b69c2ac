using System.Reflection;
using ImageSentinel.Agent.Commands;
using ImageSentinel.Agent.Control;
using ImageSentinel.Agent.Lifetime;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.Agent.Uplink;
using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Indicators;
using ImageSentinel.Detection.Model;
using ImageSentinel.Interop;
using ImageSentinel.Sensors.Audit;
using ImageSentinel.Sensors.Lookups;
using ImageSentinel.Sensors.Replay;
using ImageSentinel.Sensors.SelfTesting;
using ImageSentinel.Sensors.Stream;
using Microsoft.Extensions.Logging;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>The live agent's inside: sensors → queue → core → outputs, put together and taken apart in order.</summary>
internal sealed partial class AgentPipeline : IAgentPipeline
{
    private static readonly TimeSpan LookBackPatience = TimeSpan.FromSeconds(5);

    private readonly AgentOptions _options;
    private readonly IndicatorFiles _indicators;
    private readonly OutputWriter _records;
    private readonly SensorQueue _queue = new();
    private readonly LookupService _lookups;
    private readonly SensorSet _sensors;
    private readonly EngineWatch _engines;
    private readonly PostureWatch _posture;
    private readonly BaselineStore _baselineStore;
    private readonly ImageStore _imageStore;
    private readonly EvidenceKeeper _evidence;
    private readonly DestinationBaseline _baseline;
    private readonly CoreParts _core;
    private readonly PipelineThread _thread;
    private readonly PipelineState _state;
    private readonly CollectorUplink? _uplink;
    private readonly RunMarker _marker;
    private readonly DropWatch _drops;
    private readonly ILogger _logger;
    private readonly List<V1.OutputRecord> _early = [];
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _coverageTold;
    private string _lastHealth = "";

    public AgentPipeline(AgentOptions options, OutputWriter records, FindingSpool? spool, ILoggerFactory loggers, CaptureWriter? recorder = null)
    {
        _options = options;
        _records = records;
        _lookups = new LookupService(_queue);
        _sensors = new SensorSet(options.Sensors, _queue, new AuditSensorOptions());
        _baselineStore = new BaselineStore(options.StateDirectory, loggers.CreateLogger<BaselineStore>());
        _baseline = _baselineStore.Load(options.Baseline, DateTimeOffset.UtcNow);
        _imageStore = new ImageStore(options.StateDirectory, loggers.CreateLogger<ImageStore>());
        _indicators = new IndicatorFiles(loggers.CreateLogger<IndicatorFiles>());
        _core = CoreFactory.Create(options, _baseline, _indicators.Load(options.Indicators), Emit, _lookups.Ask, _imageStore.Load());
        _indicators.Watch(set => _thread?.Post(() => _core.Core.ChangeIndicators(set)));
        _thread = new PipelineThread(_queue, _core.Processor, OnFact);
        _engines = new EngineWatch(options.Engines, OnEngine);
        _posture = new PostureWatch(() => _engines.Found, fact => LookupService.Tell(_queue, fact));
        _marker = new RunMarker(options.StateDirectory);
        _state = new PipelineState(_queue, _thread, _baseline, _engines, spool);
        _logger = loggers.CreateLogger<AgentPipeline>();
        _drops = new DropWatch(
            [
                new("outputs", () => records.Dropped, "records come faster than the outputs take them and are dropped"),
                new("lookups", () => _lookups.Dropped, "there are more questions about files and processes than can be answered; builds are described less well"),
                new("baseline", () => _baselineStore.Dropped, "destinations come faster than the disk takes them; some are known until the agent stops only"),
            ],
            fact => LookupService.Tell(_queue, fact),
            TimeProvider.System,
            loggers.CreateLogger<DropWatch>());
        var window = new CaptureWindow();
        _thread.Remember(window);
        _evidence = new EvidenceKeeper(options.StateDirectory, window, loggers.CreateLogger<EvidenceKeeper>());
        _state.Evidence = _evidence;
        if (recorder is not null)
        {
            _thread.Record(recorder);
        }

        if (options.Outputs.Collector.Url is { } url && spool is not null)
        {
            CollectorOptions collector = options.Outputs.Collector;
            _uplink = new CollectorUplink(
                new UplinkOptions { Url = url, Ca = NullIfEmpty(collector.Authority), Certificate = NullIfEmpty(collector.Certificate), Key = NullIfEmpty(collector.Key) },
                spool,
                () => _state.Coverage?.Host ?? new V1.HostInfo(),
                () => _state.Coverage,
                loggers.CreateLogger<CollectorUplink>(),
                TimeProvider.System);
            _state.Uplink = _uplink;
        }
    }

    public IAgentState State => _state;

    public long Progress => _thread.Progress;

    public Task Completion => _thread.Completion;

    public static string Version
        => typeof(AgentPipeline).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";

    public async Task StartAsync(CancellationToken cancellation)
    {
        bool restarted = _marker.Raise();
        _thread.Start();
        _lookups.Start();
        LookupService.Tell(_queue, HostReader.Read(HostIdentity(), Version));

        _drops.Start();

        // Readers first, so that nothing falls between what is read back and what is seen.
        var tap = new SelfTestTap(_queue);
        _sensors.Start(tap);
        if (_sensors.Refused() is { } refused)
        {
            throw new CommandException(ExitCode.Failure, $"sensors.{refused.Name} is on and cannot be: {refused.Reason}; mend that, or set it to auto");
        }

        await _engines.StartAsync(cancellation).ConfigureAwait(false);

        // The proof waits for a child and the look back for files: neither for the other.
        Task proof = Task.Run(() => ProveAsync(tap, cancellation), cancellation);
        EngineFact[] reachable = [.. _engines.Found.Where(static e => e.Reachable)];
        foreach (EngineFact engine in reachable)
        {
            _lookups.TellPeers(engine);
        }

        _lookups.TellAllProcesses();
        foreach (EngineFact engine in reachable)
        {
            _lookups.AskForWhatIsThere(engine);
        }

        await proof.ConfigureAwait(false);
        await _sensors.SettleAsync().ConfigureAwait(false);
        _lookups.WaitUntilIdle(LookBackPatience);
        _sensors.Report(force: true);
        LookupService.Tell(_queue, new ReadyFact(restarted, false, ""));
        await _ready.Task.WaitAsync(cancellation).ConfigureAwait(false);
        _posture.Start();
        if (_uplink is not null)
        {
            await _uplink.StartAsync(cancellation).ConfigureAwait(false);
        }
    }

    public IReadOnlyList<string> Reload(AgentOptions options)
    {
        var restart = new List<string>();
        void Compare(string key, bool same)
        {
            if (!same)
            {
                restart.Add(key);
            }
        }

        Compare("engines", options.Engines.SequenceEqual(_options.Engines));
        Compare("sensors", options.Sensors == _options.Sensors);
        Compare("baseline", options.Baseline == _options.Baseline);
        Compare("outputs.collector", options.Outputs.Collector == _options.Outputs.Collector);
        IndicatorSet indicators = _indicators.Load(options.Indicators);
        _thread.Post(() =>
        {
            _core.Core.ChangePolicy(CoreFactory.PolicyOf(options.Policy));
            _core.Core.ChangeIndicators(indicators);
        });
        return restart;
    }

    public async Task StopAsync(CancellationToken deadline)
    {
        await _posture.DisposeAsync().ConfigureAwait(false);
        await _engines.DisposeAsync().ConfigureAwait(false);
        await _sensors.DisposeAsync().ConfigureAwait(false);
        _drops.Dispose();

        // The last thing the core does may be to ask.
        _thread.Stop();
        _lookups.Dispose();

        // What the last items said must be in the spool before the uplink sends the rest of it.
        await _records.FlushAsync().WaitAsync(deadline).ConfigureAwait(false);
        if (_uplink is not null)
        {
            await _uplink.StopAsync(deadline).ConfigureAwait(false);
        }

        _marker.Lower();
    }

    public ValueTask DisposeAsync()
    {
        _indicators.Dispose();
        _baselineStore.Dispose();
        _imageStore.Dispose();
        _evidence.Dispose();
        _uplink?.Dispose();
        _queue.Dispose();
        return ValueTask.CompletedTask;
    }

    // "Running, healthy, sees nothing" is the worst an agent can be: a child process does what sensors must see.
    private async Task ProveAsync(SelfTestTap tap, CancellationToken cancellation)
    {
        EngineFact[] reachable = [.. _engines.Found.Where(static e => e.Reachable)];
        IReadOnlyList<SensorProof> proofs = await SelfTest.RunAsync(tap, SelfTestPlans.For(_sensors, reachable), cancellation).ConfigureAwait(false);
        _sensors.Prove(proofs);
        foreach (SensorProof proof in proofs.Where(static p => p is { Sensor: "engine", Delivers: false }))
        {
            LookupService.Tell(_queue, new SensorFact("engine", "degraded", proof.Reason, 0, 0, 0, 0));
        }
    }

    private string HostIdentity()
    {
        string id = HostId.In(_options.StateDirectory, _logger);
        if (_baselineStore.Remember("host_id", id) is { } before && before != id)
        {
            IdentityChanged(before, id);
        }

        return id;
    }

    [LoggerMessage(3143, LogLevel.Warning, "this host was {Before} and is {Now} from now on: a collector sees another host")]
    private partial void IdentityChanged(string before, string now);

    private static string? NullIfEmpty(string text) => text.Length == 0 ? null : text;

    private void OnEngine(EngineFact engine)
    {
        _lookups.Know(engine);
        LookupService.Tell(_queue, engine);
        LookupService.Tell(_queue, new SensorFact(
            "engine", engine.Reachable ? "active" : "off", engine.Reachable ? "" : engine.Note, 0, 0, 0, 0));
        if (engine.Reachable)
        {
            _sensors.Watch(engine);
            if (_ready.Task.IsCompleted)
            {
                _lookups.Ask(new ProcessLookup(engine.DaemonPid));
                _lookups.AskForWhatIsThere(engine);
                _posture.Wake();
            }
        }
    }

    // On the pipeline thread. What builds say before the first coverage waits: a reader may rely on coverage coming first.
    private void Emit(V1.OutputRecord record)
    {
        _evidence.On(record);
        if (_coverageTold)
        {
            _ = _records.Write(record);
        }
        else
        {
            _early.Add(record);
        }
    }

    // On the pipeline thread.
    private void OnFact(Fact fact, Stamp at)
    {
        V1.Coverage coverage = _core.Mapper.Coverage(at);
        _state.Publish(coverage);
        if (fact is ReadyFact)
        {
            _ = _records.Write(new V1.OutputRecord { Coverage = coverage });
            _coverageTold = true;
            _lastHealth = HealthOf(coverage);
            foreach (V1.OutputRecord record in _early)
            {
                _ = _records.Write(record);
            }

            _early.Clear();
            _ready.TrySetResult();
        }
        else if (_coverageTold && HealthOf(coverage) is var health && health != _lastHealth)
        {
            _lastHealth = health;
            _ = _records.Write(new V1.OutputRecord { Coverage = coverage });
        }
    }

    // What makes a new coverage worth telling: a state, a reason or a loss; not a counter of records read.
    private static string HealthOf(V1.Coverage coverage)
        => string.Join('|', coverage.Sensors.Select(static s => $"{s.Sensor}{s.State}{s.Reason}{s.LostInKernel}{s.Dropped}"));
}
