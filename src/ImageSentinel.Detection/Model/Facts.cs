using System.Text.Json.Serialization;
using ImageSentinel.Detection.Files;

namespace ImageSentinel.Detection.Model;

/// <summary>
/// Something read at the edge (a file the engine wrote, the process file system, the engine itself) because the core
/// asked or the agent started. Facts travel in the stream like kernel records, so a replay needs nothing but the stream.
/// Secrets are removed before a fact is made.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "fact")]
[JsonDerivedType(typeof(HostFact), "host")]
[JsonDerivedType(typeof(EngineFact), "engine")]
[JsonDerivedType(typeof(ProcessFact), "process")]
[JsonDerivedType(typeof(BundleFact), "bundle")]
[JsonDerivedType(typeof(ContainerFact), "container")]
[JsonDerivedType(typeof(ImageFact), "image")]
[JsonDerivedType(typeof(TagsFact), "tags")]
[JsonDerivedType(typeof(DockerfileFact), "dockerfile")]
[JsonDerivedType(typeof(SensorFact), "sensor")]
[JsonDerivedType(typeof(BaselineFact), "baseline")]
[JsonDerivedType(typeof(EnginePeerFact), "enginepeer")]
[JsonDerivedType(typeof(TamperFact), "tamper")]
[JsonDerivedType(typeof(ReadyFact), "ready")]
[JsonDerivedType(typeof(StoppedFact), "stopped")]
[JsonDerivedType(typeof(StoreImageFact), "storeimage")]
[JsonDerivedType(typeof(ProcessNetworkFact), "processnetwork")]
[JsonDerivedType(typeof(LayerFileFact), "layerfile")]
[JsonDerivedType(typeof(Posture.PostureFact), "posture")]
[JsonDerivedType(typeof(FlowsFact), "flows")]
[JsonDerivedType(typeof(HistoryStateFact), "historystate")]
[JsonDerivedType(typeof(BuildRecordFact), "buildrecord")]
[JsonDerivedType(typeof(BuildVertexFact), "buildvertex")]
public abstract record Fact;

/// <summary>What the host is: read at start, and again when an address or resolver changes.</summary>
public sealed record HostFact(
    string Hostname,
    string HostId,
    string BootId,
    string KernelRelease,
    string AgentVersion,
    IReadOnlyList<string> Resolvers,
    IReadOnlyList<string> LocalAddresses,
    IReadOnlyList<UserName> Users,
    int AgentPid) : Fact;

/// <summary>One line of the host's own passwd file. Never the name service: it can block for seconds.</summary>
public sealed record UserName(uint Uid, string Name);

/// <summary>An engine as found behind its socket.</summary>
/// <param name="Index">Position in the configuration; file events carry it.</param>
/// <param name="Socket">Path of the API socket.</param>
/// <param name="DaemonPid">The daemon's pid by SO_PEERCRED; 0 when unreachable.</param>
/// <param name="DataRoot">Without a trailing slash.</param>
/// <param name="ExecRoot">Without a trailing slash; empty when it could not be found.</param>
/// <param name="Tls">Its TCP listeners demand TLS.</param>
/// <param name="Note">Why the engine is unreachable, or what is missing; else empty.</param>
public sealed record EngineFact(
    int Index,
    string Socket,
    ulong SocketInode,
    int DaemonPid,
    long DaemonStartBoot,
    string DataRoot,
    string ExecRoot,
    string Version,
    string StorageDriver,
    IReadOnlyList<string> Resolvers,
    IReadOnlyList<string> Listeners,
    bool Tls,
    bool Reachable,
    string Note) : Fact;

/// <summary>A process that the core met without having seen its birth, read from the process file system.</summary>
/// <param name="StartBoot">Nanoseconds on the boot clock; 0 when the process was already gone.</param>
public sealed record ProcessFact(
    int Pid,
    int ParentPid,
    long StartBoot,
    uint Uid,
    uint Gid,
    uint LoginUid,
    uint Session,
    string Exe,
    IReadOnlyList<string> Args,
    string Cwd,
    string Cgroup) : Fact;

/// <summary>A BuildKit executor bundle's configuration: one RUN step (or frontend) about to start.</summary>
/// <param name="Engine">Index of the engine, or -1 for a builder that is not one of ours.</param>
/// <param name="StepId">The executor's directory name.</param>
public sealed record BundleFact(
    int Engine,
    string StepId,
    string Bundle,
    IReadOnlyList<string> Args,
    string Cwd,
    bool OwnNetwork,
    bool HasNetworkHook,
    string CgroupPath,
    string SessionId,
    bool IsFrontend,
    string Layer) : Fact;

/// <summary>A container as the engine wrote it to its data root.</summary>
/// <param name="Image">What the creator named: a reference, or <c>sha256:…</c> for a classic build step.</param>
/// <param name="ImageId">The image's id, <c>sha256:…</c>.</param>
/// <param name="Attached">True when a client attaches its standard streams or asked for a terminal.</param>
/// <param name="LogPath">Empty until the container logs; a classic step never does.</param>
/// <param name="Binds"><c>source:target</c> of every path of the host that it mounts.</param>
/// <param name="Capabilities">Added beyond the engine's own set; null in recordings that do not tell.</param>
public sealed record ContainerFact(
    int Engine,
    string ContainerId,
    string Image,
    string ImageId,
    IReadOnlyList<string> Command,
    string Name,
    bool Attached,
    string LogPath,
    string LogDriver,
    string NetworkMode,
    bool Privileged,
    string PidMode,
    string RestartPolicy,
    IReadOnlyList<string> Binds,
    string Layer,
    bool Running,
    bool Finished,
    int? ExitCode,
    IReadOnlyList<string>? Capabilities = null) : Fact;

/// <summary>An image configuration in the engine's store.</summary>
/// <param name="Container">Classic builder and commit: the container the image was made from; else empty.</param>
/// <param name="Parent">Classic builder and commit: parent image id; else empty.</param>
/// <param name="Layers">The storage driver's directory of each layer, base first; empty where it could not be read.</param>
/// <param name="History">Instructions, base first; empty layers included.</param>
/// <param name="DiffIds">Digest of each layer's uncompressed content, base first; null in recordings that do not tell.</param>
public sealed record ImageFact(
    int Engine,
    string ImageId,
    string Container,
    string Parent,
    IReadOnlyList<string> Layers,
    IReadOnlyList<ImageHistory> History,
    IReadOnlyList<string>? DiffIds = null) : Fact;

/// <summary>One line of an image's history.</summary>
public sealed record ImageHistory(string CreatedBy, string Comment, bool EmptyLayer);

/// <summary>All references of an engine's store: <c>name:tag</c> and <c>name@digest</c> → image id.</summary>
public sealed record TagsFact(int Engine, IReadOnlyList<ImageTag> Tags) : Fact;

/// <summary>A reference and the image it names.</summary>
public sealed record ImageTag(string Reference, string ImageId);

/// <summary>A file that may be a Dockerfile, as the engine unpacked it or as a client is about to send it.</summary>
/// <param name="Origin">Path relative to the data root; or <c>client:PID</c> for a client's own file.</param>
/// <param name="Text">Credentials removed; empty when it was not text.</param>
public sealed record DockerfileFact(int Engine, string Origin, int ClientPid, string Text) : Fact;

/// <summary>An image in the store of a builder without a daemon (containers/storage).</summary>
/// <param name="BuildId">The build that was asked about.</param>
/// <param name="ImageId"><c>sha256:…</c></param>
public sealed record StoreImageFact(string BuildId, string ImageId, IReadOnlyList<string> Names) : Fact;

/// <summary>A file of a layer as it was found when the core asked.</summary>
/// <param name="Path">Below the layer; bytes as the file system has them.</param>
/// <param name="Size">Bytes; -1 when it could not be read.</param>
/// <param name="Mode">Permission bits.</param>
/// <param name="Sha256">Hexadecimal, of programs and scripts; else empty.</param>
/// <param name="Note">What is missing and why, in fixed words; else empty.</param>
public sealed record LayerFileFact(
    int Engine,
    string Layer,
    byte[] Path,
    long Size,
    uint Mode,
    FileKind Kind,
    string Sha256,
    string Note) : Fact;

/// <summary>A sensor changed state, or is telling its totals.</summary>
/// <param name="Health">"active", "degraded" or "off".</param>
public sealed record SensorFact(
    string Sensor,
    string Health,
    string Reason,
    long Received,
    long LostInKernel,
    long Dropped,
    long Overflows) : Fact;

/// <summary>A process holds a connection to an engine that was there before the agent.</summary>
public sealed record EnginePeerFact(int Engine, int Pid) : Fact;

/// <summary>Somebody took away what a sensor stands on, or the agent itself.</summary>
/// <param name="Detail">Fixed text and numbers; nothing that a process chose.</param>
public sealed record TamperFact(string Sensor, string Detail) : Fact;

/// <summary>An operator changed the baseline through the control socket.</summary>
/// <param name="Approve">True to approve, false to forget.</param>
/// <param name="Destination">As the operator wrote it, checked: address, CIDR, with optional port and transport.</param>
public sealed record BaselineFact(bool Approve, string Destination, string Reason) : Fact;

/// <summary>The agent is ready: every sensor that can read is reading. <paramref name="Restarted"/>: an earlier agent
/// did not stop in order.</summary>
public sealed record ReadyFact(bool Restarted, bool Tampered, string Note) : Fact;

/// <summary>The agent stops in order: the last fact of its stream. What still runs is not watched any more.</summary>
public sealed record StoppedFact : Fact;

/// <summary>The addresses of a process's network namespace.</summary>
/// <param name="StartBoot">The process's start on the boot clock; 0 when it was already gone, and then nothing else is known.</param>
/// <param name="Addresses">Without loopback and link-local ones.</param>
/// <param name="Host">The namespace is the host's own.</param>
public sealed record ProcessNetworkFact(int Pid, long StartBoot, IReadOnlyList<string> Addresses, bool Host) : Fact;

/// <summary>Counters of flows that the kernel still tracks.</summary>
public sealed record FlowsFact(IReadOnlyList<FlowCount> Flows) : Fact;

/// <summary>One flow's bytes so far. <paramref name="Protocol"/> is a number of <see cref="EgressProtocol"/>.</summary>
public sealed record FlowCount(string Source, ushort SourcePort, string Destination, ushort DestinationPort, int Protocol, ulong Sent, ulong Received);
