using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Builders;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Files;
using ImageSentinel.Detection.Flows;
using ImageSentinel.Detection.History;
using ImageSentinel.Detection.Images;
using ImageSentinel.Detection.Indicators;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Names;
using ImageSentinel.Detection.Posture;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection;

/// <summary>
/// The domain's one entrance: takes events in stream order and routes each to the trackers that keep the state it
/// changes. Pure: no clock, no I/O; the same stream gives the same builds and findings, byte for byte.
/// </summary>
public sealed class SentinelCore : IDomainEvents
{
    private const long UpkeepInterval = 5 * Stamp.Second;

    private readonly CoreState _state;
    private readonly BuildRegistry _builds;
    private readonly BuildKitTracker _buildKit;
    private readonly ClassicTracker _classic;
    private readonly DaemonlessTracker _daemonless;
    private readonly HistoryWitness _history;
    private readonly RuntimeTracker _runtimes;
    private readonly DataRootRouter _dataRoots;
    private readonly ClientIntake _clients;
    private readonly ImageArrivals _arrivals;
    private readonly ImageLinker _images;
    private readonly EgressTracker _egress;
    private readonly EgressJudge _judge;
    private readonly DaemonFetchTracker _fetches;
    private readonly LossTracker _losses;
    private readonly StepFileTracker _files;
    private readonly ImageTaint _taint;
    private readonly DeployTracker _deploys;
    private readonly FindingBook _book;
    private readonly NeverSeenEgressDetector _neverSeen;
    private readonly ClientPolicyDetector _policy;
    private readonly BuilderInContainerDetector _nested;
    private readonly RegistryDetector _registries;
    private readonly ImageBurstDetector _bursts;
    private readonly StepAddresses _addresses;
    private readonly NameTracker _names;
    private readonly PostureBook _posture;
    private readonly TcpApiClients _tcp;
    private readonly FlowLedger _flows;
    private readonly NameTunnelDetector _tunnels;
    private readonly IndicatorDetector _indicators;
    private Stamp _lastUpkeep;

    public SentinelCore(CorePolicy policy, DestinationBaseline baseline, ICoreOutput output, ImageGraph? images = null)
    {
        _state = new CoreState(policy, baseline, output);
        baseline.Configure(policy.AllowedDestinations);

        _book = new FindingBook(_state);
        _neverSeen = new NeverSeenEgressDetector(_state, _book);
        _builds = new BuildRegistry(_state);
        _buildKit = new BuildKitTracker(_state, _builds);
        _classic = new ClassicTracker(_state, _builds);
        _arrivals = new ImageArrivals(_state, _builds, _classic, _book);
        _images = new ImageLinker(_state, _builds, _buildKit, _classic, _arrivals);
        _nested = new BuilderInContainerDetector(_state, _book);
        _posture = new PostureBook(_state, _book);
        _tcp = new TcpApiClients(_state);
        _policy = new ClientPolicyDetector(_state, _book, _posture);
        _registries = new RegistryDetector(_state, _book);
        _bursts = new ImageBurstDetector(_state, _book);
        _addresses = new StepAddresses(_state);
        _names = new NameTracker(_state, _addresses);
        _tunnels = new NameTunnelDetector(_book);
        _indicators = new IndicatorDetector(_state, _book);
        _fetches = new DaemonFetchTracker(_state, _builds, _neverSeen, _names, _indicators);
        _daemonless = new DaemonlessTracker(_state, _builds);
        _history = new HistoryWitness(_state, _builds, new RecordMismatchDetector(_state, _book));
        _runtimes = new RuntimeTracker(_state, _buildKit, _classic, _daemonless);
        _judge = new EgressJudge(_state, _neverSeen, new EgressBehaviourDetector(_book), _names, _indicators);
        _egress = new EgressTracker(_state, _judge, _fetches, _names, _addresses);
        _flows = new FlowLedger(_state, _addresses) { Unexplained = _judge.Unexplained, Counted = EgressJudge.Counted };
        _addresses.Claimed = (step, at) =>
        {
            _judge.Located(step, at);
            _flows.Claimed(at);
        };
        _names.Named = _judge.Named;
        _losses = new LossTracker(_state, _builds, _book);
        _files = new StepFileTracker(_state, new DownloadedExecutableDetector(_state, _book), new PersistenceDetector(_book), _indicators);
        _taint = new ImageTaint(_state, images ?? new ImageGraph());
        _deploys = new DeployTracker(_state, _builds, _taint, _book, _indicators);
        _dataRoots = new DataRootRouter(_state, _buildKit, _classic, _images, _files, _taint);
        _clients = new ClientIntake(_state, _builds, _buildKit, _classic, _daemonless);
        _egress.OfDeployment = _deploys.On;
        _buildKit.LayerKnown = _files.LayerKnown;
        _classic.LayerKnown = _files.LayerKnown;
        _classic.Committed = _files.Committed;
        _buildKit.Placed = _egress.Placed;
        _classic.Settled = _egress.Settle;
        _builds.Ended = OnBuildEnded;
        _builds.ClientsChosen = OnClientsChosen;
    }

    public CoreState State => _state;

    public BuildRegistry Builds => _builds;

    public void On(in ProcessForked e) => Meet(_state.Tree.Fork(e));

    public void On(in ProcessExecuted e)
    {
        ProcessNode node = _state.Tree.Execute(e);
        Meet(node);
        _runtimes.OnProgram(node, e.At);
        var called = new Stamp(e.At.Boot, e.CallWall);
        _files.OnProgram(node, called);
        _deploys.OnProgram(node, called);
    }

    public void On(in ProcessExited e)
    {
        if (_state.Tree.Exit(e) is not { } node)
        {
            return;
        }

        _daemonless.OnExit(node, e.At);
        if (node.ScopeForChildren is StepScope && node.Scope is not StepScope)
        {
            _buildKit.RuntimeEnded(node, e.At);
        }
        else if (node.Scope is ContainerScope { Step: { } step, Runtime: { } runtime } && ReferenceEquals(node.Parent, runtime))
        {
            ClassicTracker.ChildEnded(step, node, e.At);
        }
    }

    public void On(in NameAsked e)
    {
        if (_addresses.StepAt(e.Client, e.At) is { } step)
        {
            _tunnels.Judge(step, e.Name, e.At);
            if (!_state.Indicators.IsEmpty)
            {
                _indicators.Asked(step, e.Name.ToString(), e.At);
            }
        }
        else
        {
            _addresses.Unowned(e.Client, new Destination(e.Server, 53, EgressProtocol.Udp), e.At);
        }
    }

    public void On(in NameResolved e) => _names.On(e);

    public void On(in ServerNameSeen e) => _names.On(e);

    public void On(in ApiRequestSeen e) => _tcp.On(e);

    public void On(in EgressAttempted e)
    {
        _tcp.On(e);
        _egress.On(e);
    }

    public void On(in FlowSeen e)
    {
        _flows.On(e);
        if (!e.Closing || e.Answer != EgressOutcome.None)
        {
            _egress.On(e);
        }
    }

    public void On(in EngineConnected e) => _clients.On(e);

    public void On(in EngineAccepted e)
    {
        if (e.Remote && _state.EngineOfDaemon(e.DaemonPid) is { } engine)
        {
            _tcp.On(e, engine.Index, engine.Tls);
        }
    }

    public void On(in EngineFileChanged e) => _dataRoots.On(e);

    public void On(in LossNoticed e) => _losses.On(e);

    public void OnFact(Stamp at, Fact fact)
    {
        switch (fact)
        {
            case HostFact host:
                _state.Set(host);
                _tcp.Learn(host);
                break;
            case EngineFact engine:
                OnEngine(engine);
                break;
            case ProcessFact process:
                OnProcess(process, at);
                break;
            case EnginePeerFact peer:
                _clients.Learn(peer, at);
                break;
            case BundleFact bundle:
                if (!_daemonless.Learn(bundle, at))
                {
                    _buildKit.Learn(bundle, at);
                }

                break;
            case HistoryStateFact history:
                _history.Learn(history, at);
                break;
            case BuildRecordFact record:
                _history.Learn(record, at);
                break;
            case BuildVertexFact vertexes:
                _history.Learn(vertexes);
                break;
            case StoreImageFact image:
                _daemonless.Learn(image);
                break;
            case LayerFileFact file:
                _files.Learn(file, at);
                break;
            case ContainerFact container:
                _state.Know(container);
                _classic.Learn(container, at);
                if (!_classic.IsPartOfBuild(container.ContainerId))
                {
                    _deploys.Learn(container, at);
                }

                break;
            case ImageFact image:
                _taint.Learn(image);
                _images.Learn(image, at);
                break;
            case TagsFact tags:
                _images.Learn(tags, at);
                break;
            case DockerfileFact dockerfile:
                _clients.Learn(dockerfile, at);
                break;
            case SensorFact sensor:
                _state.Set(sensor);
                _losses.OnSensor(sensor, at);
                break;
            case BaselineFact change when DestinationPattern.TryParse(change.Destination, out DestinationPattern? pattern):
                if (change.Approve)
                {
                    _state.Baseline.Approve(pattern!, change.Reason);
                }
                else
                {
                    _ = _state.Baseline.Forget(pattern!);
                }

                break;
            case ProcessNetworkFact network:
                _addresses.Learn(network, at);
                break;
            case PostureFact posture:
                _posture.Learn(posture, at);
                break;
            case FlowsFact flows:
                _flows.Learn(flows, at);
                break;
            case TamperFact tamper:
                _losses.OnTamper(tamper, at);
                break;
            case StoppedFact:
                _builds.Abandon(at);
                break;
            case ReadyFact ready:
                _state.Ready = at;
                _egress.OnReady(at);
                if (ready.Restarted)
                {
                    _losses.OnTamper(new TamperFact("agent", "an earlier agent ended without stopping: what happened until now was not seen"), at);
                }

                break;
        }
    }

    public void OnTick(Stamp at)
    {
        _buildKit.OnTick(at);
        _classic.OnTick(at);
        _daemonless.OnTick(at);
        _history.OnTick(at);
        _judge.OnTick(at);
        _egress.OnTick(at);
        _files.OnTick(at);
        foreach (Build build in _builds.Active)
        {
            _taint.Follow(build);
        }

        for (int i = _builds.Recent.Count - 1; i >= 0 && i >= _builds.Recent.Count - 32; i--)
        {
            _taint.Follow(_builds.Recent[i]);
        }

        _taint.OnTick(at);
        _deploys.OnTick(at);
        _addresses.OnTick(at);
        _flows.OnTick(at);
        _fetches.OnTick(at);
        _arrivals.OnTick(at);
        foreach (Build build in _builds.Active)
        {
            if (build.Steps.Count > 0)
            {
                _policy.Judge(build, at);
                _nested.Judge(build, at);
            }
        }

        // A builder can end before the records of its last connection are read.
        for (int i = _builds.Recent.Count - 1; i >= 0 && at.Since(_builds.Recent[i].Ended!.Value) < UpkeepInterval; i--)
        {
            _nested.Judge(_builds.Recent[i], at);
        }

        if (at.Since(_lastUpkeep) > UpkeepInterval)
        {
            _lastUpkeep = at;
            _state.Tree.Expire(at);
            _state.Clients.Expire(at);
        }

        Flush(at, all: true);
    }

    /// <summary>Takes a changed policy over; builds that run are judged by it from now on.</summary>
    public void ChangePolicy(CorePolicy policy)
    {
        ArgumentNullException.ThrowIfNull(policy);
        _state.Policy = policy;
        _state.Baseline.Configure(policy.AllowedDestinations);
    }

    /// <summary>Takes other feeds over; what happens from now on is held against them.</summary>
    public void ChangeIndicators(IndicatorSet indicators)
    {
        ArgumentNullException.ThrowIfNull(indicators);
        _state.Indicators = indicators;
    }

    /// <summary>Hands out what the events since the last call changed. The pipeline calls it after every batch.</summary>
    public void Flush(Stamp at, bool all = false)
    {
        Verdicts.Apply(_builds, _state);
        _builds.Flush(at, all);
        _book.Flush(at);
    }

    private void OnBuildEnded(Build build, Stamp at)
    {
        _images.NameAtEnd(build);
        _indicators.JudgeImages(build, at);
        _policy.Judge(build, at);
        _nested.Judge(build, at);
        _registries.Judge(build, at);
        _bursts.ImageMade(build, at);
        _neverSeen.Refresh(build, at);
    }

    // A client stays the likely one for a while before it is judged: the first candidate may be a poller's.
    private void OnClientsChosen(Build build, Stamp at)
    {
        if (build.Steps.Count > 0 || build.Ended is not null)
        {
            _policy.Judge(build, at);
            _registries.Judge(build, at);
        }
    }

    // A step's namespace can be read while one of its processes lives.
    private void Meet(ProcessNode node)
    {
        switch (node.Scope)
        {
            case StepScope scope:
                _addresses.Met(scope.Step, node.Key.Pid);
                break;
            case ContainerScope { Step: { } step }:
                _addresses.Met(step, node.Key.Pid);
                break;
            case ContainerScope scope:
                scope.LastPid = node.Key.Pid;
                break;
        }
    }

    private void OnEngine(EngineFact engine)
    {
        _state.Set(engine);
        _tcp.Learn(engine);
        if (engine.DaemonPid > 0 && _state.Tree.Find(engine.DaemonPid) is { } daemon && daemon.Scope is not EngineScope)
        {
            _state.Tree.Relabel(daemon, new EngineScope(engine.Index), rootItself: true);
        }
    }

    private void OnProcess(ProcessFact fact, Stamp at)
    {
        ProcessNode node = _state.Tree.Learn(fact, at);
        foreach (EngineFact engine in _state.Engines.Values)
        {
            if (engine.DaemonPid == fact.Pid && node.Scope is not EngineScope)
            {
                _state.Tree.Relabel(node, new EngineScope(engine.Index), rootItself: true);
            }
        }

        _clients.Learn(fact);
        _runtimes.OnProgram(node, at);
    }
}
