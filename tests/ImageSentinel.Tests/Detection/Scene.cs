using System.Text;
using ImageSentinel.Detection;
using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Files;
using ImageSentinel.Detection.Images;
using ImageSentinel.Detection.Model;
using NUnit.Framework;

namespace ImageSentinel.Tests.Detection;

/// <summary>A host with one engine, told event by event: what the normalizers would raise, in a few words each.</summary>
internal sealed class Scene : ICoreOutput
{
    public const int Daemon = 100;
    public const int Shell = 50;
    public const ulong Socket = 4711;
    public const string Evil = "203.0.113.66";

    private const long BootToWall = 1_700_000_000 * Stamp.Second;
    private const long TickEvery = 250 * Stamp.Millisecond;

    private readonly List<ImageTag> _tags = [];
    private long _now = 1000 * Stamp.Second;
    private long _ticked;

    public Scene(CorePolicy? policy = null, BaselineMode? mode = null, bool tls = false, bool ready = true, ImageGraph? images = null)
    {
        Baseline = new DestinationBaseline(mode ?? new BaselineMode(false, DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch));
        Core = new SentinelCore(policy ?? CorePolicy.Default, Baseline, this, images);
        Tell(new HostFact("host", "h", "b", "6", "1", ["203.0.113.53"], ["198.18.0.1"], [new UserName(0, "root"), new UserName(1000, "ann")], 99));
        Tell(new EngineFact(0, "/run/docker.sock", Socket, Daemon, 0, "/var/lib/docker", "/run/docker", "20.10", "overlay2", [], [], tls, true, ""));
        Tell(new ProcessFact(1, 0, 1, 0, 0, uint.MaxValue, uint.MaxValue, "/sbin/init", ["init"], "/", ""));
        Tell(new ProcessFact(Daemon, 1, 2, 0, 0, uint.MaxValue, uint.MaxValue, "/usr/bin/dockerd", ["dockerd"], "/", ""));
        Tell(new ProcessFact(Shell, 1, 3, 1000, 1000, 1000, 1, "/bin/bash", ["bash"], "/home/ann", ""));
        Sensor("audit", "active");
        Sensor("processes", "active");
        Tell(new TagsFact(0, []));
        if (ready)
        {
            Tell(new ReadyFact(false, false, ""));
        }
    }

    public SentinelCore Core { get; }

    public DestinationBaseline Baseline { get; }

    public List<Lookup> Asked { get; } = [];

    /// <summary>Every finding that was told, once each, in the order of the first telling.</summary>
    public List<Finding> Findings { get; } = [];

    /// <summary>How often findings were told, repetitions included.</summary>
    public int Told { get; private set; }

    /// <summary>Every build that was told, once each.</summary>
    public List<Build> Builds { get; } = [];

    public Stamp Now => new(_now, _now + BootToWall);

    public Build OnlyBuild
    {
        get
        {
            Assert.That(Builds, Has.Count.EqualTo(1));
            return Builds[0];
        }
    }

    public Finding? Find(string detector) => Findings.Find(f => f.Detector.Id == detector);

    public static string StepId(int n) => n.ToString(System.Globalization.CultureInfo.InvariantCulture).PadLeft(25, 's');

    public static string Hex(int n) => n.ToString("x64", System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Time passes, with every tick that the pipeline would give.</summary>
    public Scene After(double milliseconds)
    {
        long until = _now + (long)(milliseconds * Stamp.Millisecond);
        while (_ticked + TickEvery <= until)
        {
            _ticked = Math.Max(_ticked + TickEvery, _now);
            _now = Math.Max(_now, _ticked);
            Core.OnTick(Now);
        }

        _now = until;
        return this;
    }

    public Scene Fork(int parent, int pid)
    {
        Core.On(new ProcessForked(Step(), parent, pid));
        return Flush();
    }

    public Scene Exec(int pid, int parent, uint uid, params string[] arguments)
    {
        Stamp at = Step();
        string exe = arguments[0].StartsWith('/') ? arguments[0] : "/usr/bin/" + arguments[0];
        Core.On(new ProcessExecuted
        {
            At = at,
            CallWall = at.Wall,
            Pid = pid,
            ParentPid = parent,
            Uid = uid,
            Gid = uid,
            LoginUid = 1000,
            Session = 1,
            Exe = Encoding.UTF8.GetBytes(exe),
            Arguments = Encoding.UTF8.GetBytes(string.Join('\0', arguments) + "\0"),
            Cwd = "/"u8,
        });
        return Flush();
    }

    /// <summary>Fork and exec in one.</summary>
    public Scene Run(int parent, int pid, params string[] arguments)
        => Fork(parent, pid).Exec(pid, parent, parent == Shell ? 1000u : 0u, arguments);

    public Scene Exit(int pid, int code = 0)
    {
        Core.On(new ProcessExited(Step(), pid, code << 8));
        return Flush();
    }

    public Scene Connect(
        int pid,
        string address = Evil,
        ushort port = 80,
        EgressProtocol protocol = EgressProtocol.Tcp,
        EgressPath path = EgressPath.Syscall,
        EgressOutcome outcome = EgressOutcome.Established,
        string exe = "/usr/bin/curl",
        long calledEarlier = 0,
        bool addressOnly = false,
        int parent = 1)
    {
        Stamp at = Step();
        Core.On(new EgressAttempted
        {
            At = at,
            CallWall = at.Wall - calledEarlier,
            Caller = new Caller { Pid = pid, ParentPid = parent, Exe = Encoding.UTF8.GetBytes(exe), LoginUid = uint.MaxValue },
            Destination = To(address, port, protocol),
            Path = path,
            Outcome = outcome,
            AddressOnly = addressOnly,
        });
        return Flush();
    }

    /// <summary>A process on this host connects to the engine's socket.</summary>
    public Scene Api(int pid, uint uid = 1000)
    {
        Stamp at = Step();
        Core.On(new EngineConnected
        {
            At = at,
            CallWall = at.Wall,
            Caller = new Caller { Pid = pid, ParentPid = Shell, Uid = uid, Gid = uid, LoginUid = 1000, Session = 1, Exe = "/usr/bin/docker"u8 },
            SocketInode = Socket,
        });
        return Flush();
    }

    /// <summary>Connection tracking tells of a flow.</summary>
    public Scene Flow(
        string address = Evil,
        ushort port = 80,
        EgressOutcome answer = EgressOutcome.None,
        bool ended = false,
        EgressProtocol protocol = EgressProtocol.Tcp,
        ulong sent = 0,
        ulong received = 0)
    {
        Core.On(new FlowSeen
        {
            At = Step(),
            Ended = ended,
            Answer = answer,
            Source = Address("172.17.0.2"),
            SourcePort = 40000,
            Destination = To(address, port, protocol),
            HasBytes = sent + received > 0,
            BytesSent = sent,
            BytesReceived = received,
        });
        return Flush();
    }

    public Scene RemoteApi(string address, ushort port = 51000)
    {
        Core.On(new EngineAccepted { At = Step(), DaemonPid = Daemon, Descriptor = 9, Remote = true, Address = Address(address), Port = port });
        return Flush();
    }

    /// <summary>A request is read on its way to the engine's TCP listener.</summary>
    public Scene Request(string client, ushort port, string method, string target, string server = "198.18.0.1")
    {
        Core.On(new ApiRequestSeen
        {
            At = Step(),
            Client = Address(client),
            ClientPort = port,
            Server = Address(server),
            ServerPort = 2375,
            Method = method,
            Target = target,
        });
        return Flush();
    }

    public Scene File(string path, FileChange change = FileChange.Created | FileChange.Modified | FileChange.Written)
    {
        Core.On(new EngineFileChanged { At = Step(), Engine = 0, Change = change, Pid = Daemon, Path = Encoding.UTF8.GetBytes(path) });
        return Flush();
    }

    /// <summary>A process writes a file inside a layer.</summary>
    public Scene Writes(int pid, string layer, byte[] path, FileChange change = FileChange.Created | FileChange.Written)
    {
        Core.On(new EngineFileChanged { At = Step(), Engine = 0, Change = change, Pid = pid, Path = [.. Encoding.UTF8.GetBytes($"overlay2/{layer}/diff/"), .. path] });
        return Flush();
    }

    public Scene Writes(int pid, string layer, string path, FileChange change = FileChange.Created | FileChange.Written)
        => Writes(pid, layer, Encoding.UTF8.GetBytes(path), change);

    /// <summary>The edge looked at a file.</summary>
    public Scene Looked(string layer, string path, FileKind kind, long size = 1000, string note = "")
        => Tell(new LayerFileFact(
            0, layer, Encoding.UTF8.GetBytes(path), size, 0x1ed, kind, kind is FileKind.Elf or FileKind.Script && size >= 0 ? Hex(path.Length) : "", note));

    public Scene Lost(long count, string sensor = "audit")
    {
        Core.On(new LossNoticed { At = Step(), Sensor = sensor, Count = count, Cause = "serial numbers are missing" });
        return Flush();
    }

    public Scene Tell(Fact fact)
    {
        Core.OnFact(Step(), fact);
        return Flush();
    }

    public Scene Sensor(string name, string health, string reason = "") => Tell(new SensorFact(name, health, reason, 0, 0, 0, 0));

    /// <summary>A docker client starts and connects.</summary>
    public Scene Client(int pid, params string[] arguments) => Run(Shell, pid, arguments).Api(pid);

    /// <summary>BuildKit unpacks a Dockerfile into a fresh snapshot.</summary>
    public Scene SnapshotDockerfile(int snapshot, string text)
    {
        string path = $"overlay2/{StepId(snapshot)}/diff/Dockerfile";
        return File(path).Tell(new DockerfileFact(0, path, 0, text));
    }

    /// <summary>BuildKit starts a step: bundle, runc at <paramref name="pid"/>, its init, the step's shell at pid + 2.</summary>
    public Scene BuildKitStep(int step, int pid, string command, string layer = "", bool host = false)
    {
        string id = StepId(step);
        string bundle = $"/var/lib/docker/buildkit/executor/{id}";
        return File($"buildkit/executor/{id}/config.json", FileChange.Modified)
            .Tell(new BundleFact(0, id, bundle, ["/bin/sh", "-c", command], "/", !host, !host, "", "", false, layer))
            .Fork(Daemon, pid)
            .Exec(pid, Daemon, 0, "runc", "--log", bundle + "/runc-log.json", "--log-format", "json", "run", "--bundle", bundle, id)
            .Fork(pid, pid + 1)
            .Exec(pid + 1, pid, 0, "runc", "init")
            .Fork(pid + 1, pid + 2)
            .Exec(pid + 2, pid + 1, 0, "/bin/sh", "-c", command);
    }

    public Scene EndBuildKitStep(int pid, int code = 0) => Exit(pid + 2, code).Exit(pid + 1).Exit(pid, code);

    public Scene Image(int image, string[] layers, string tag, params string[] createdBy)
    {
        string id = Hex(image);
        return File($"image/overlay2/imagedb/content/sha256/{id}")
            .Tell(new ImageFact(0, "sha256:" + id, "", "", layers, [.. createdBy.Select(static c => new ImageHistory(c, "buildkit.dockerfile.v0", false))]))
            .Tagged(tag, image);
    }

    public Scene Tagged(string tag, int image)
    {
        _tags.Add(new ImageTag(tag, "sha256:" + Hex(image)));
        return File("image/overlay2/repositories.json").Tell(new TagsFact(0, [.. _tags]));
    }

    public static Destination To(string address, ushort port = 80, EgressProtocol protocol = EgressProtocol.Tcp)
        => new(Address(address), port, protocol);

    public static NetAddress Address(string text)
        => NetAddress.TryParse(text, out NetAddress address) ? address : throw new ArgumentException(text);

    public void BuildChanged(Build build, Stamp at)
    {
        if (!Builds.Contains(build))
        {
            Builds.Add(build);
        }
    }

    public void FindingChanged(Finding finding, Stamp at)
    {
        Told++;
        if (!Findings.Contains(finding))
        {
            Findings.Add(finding);
        }
    }

    public void Ask(Lookup lookup) => Asked.Add(lookup);

    // Two events are never at the same moment.
    private Stamp Step()
    {
        _now += Stamp.Millisecond;
        return Now;
    }

    private Scene Flush()
    {
        Core.Flush(Now);
        return this;
    }
}
