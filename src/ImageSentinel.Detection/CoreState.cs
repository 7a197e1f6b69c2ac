using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Indicators;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection;

/// <summary>What all trackers share. One per core; nothing static, so that tests and replays stand side by side.</summary>
public sealed class CoreState(CorePolicy policy, DestinationBaseline baseline, ICoreOutput output)
{
    private readonly Dictionary<int, EngineFact> _engines = [];
    private readonly Dictionary<string, SensorFact> _sensors = new(StringComparer.Ordinal);
    private readonly Dictionary<uint, string> _users = [];
    private readonly Dictionary<string, (string Name, string Id)> _containerImages = new(StringComparer.Ordinal);

    public CorePolicy Policy { get; internal set; } = policy;

    public DestinationBaseline Baseline { get; } = baseline;

    /// <summary>The operator's feeds; never null.</summary>
    public IndicatorSet Indicators { get; internal set; } = IndicatorSet.Empty;

    public ICoreOutput Output { get; } = output;

    public ProcessTree Tree { get; } = new();

    public ClientTracker Clients { get; } = new();

    public HostFact? Host { get; private set; }

    public IReadOnlyDictionary<int, EngineFact> Engines => _engines;

    /// <summary>Every sensor's latest word on itself.</summary>
    public IReadOnlyDictionary<string, SensorFact> Sensors => _sensors;

    /// <summary>A flow left the proven address of a step: connection tracking sees the engine's bridges, and that it saw
    /// none means something.</summary>
    internal bool FlowsProven { get; set; }

    /// <summary>Set when every sensor that can read is reading; what is older was found, not seen.</summary>
    public Stamp? Ready { get; internal set; }

    /// <summary>What a container was made from, as its creator named it; empty when its configuration was not seen.</summary>
    internal string ContainerImage(string containerId) => _containerImages.TryGetValue(containerId, out (string Name, string Id) image) ? image.Name : "";

    /// <summary>The id of the image a container was made from; empty when its configuration was not seen.</summary>
    internal string ContainerImageId(string containerId) => _containerImages.TryGetValue(containerId, out (string Name, string Id) image) ? image.Id : "";

    internal void Know(ContainerFact container)
    {
        if (_containerImages.Count > 8192)
        {
            _containerImages.Clear();
        }

        _containerImages[container.ContainerId] = (container.Image, container.ImageId);
    }

    /// <summary>The agent, or the child that tries its sensors.</summary>
    internal bool IsOurs(ProcessNode node) => Host is { AgentPid: > 0 and var pid } && (node.Key.Pid == pid || node.Parent?.Key.Pid == pid);

    /// <summary>Keeps a destination with its step. A step cannot hide one behind hundreds that are known.</summary>
    internal bool Keep(BuildStep step, Egress egress, Stamp at)
        => step.TryAddEgress(egress)
        || (Baseline.Judge(egress.Destination, at.Time).Novelty != Novelty.Known && step.TryReplaceKnown(egress));

    public string UserName(uint uid) => _users.GetValueOrDefault(uid, "");

    internal void Set(HostFact host)
    {
        Host = host;
        _users.Clear();
        foreach (UserName user in host.Users)
        {
            _users[user.Uid] = user.Name;
        }

        foreach (string resolver in host.Resolvers)
        {
            KnowResolver(resolver);
        }

        foreach (string own in host.LocalAddresses)
        {
            if (NetAddress.TryParse(own, out NetAddress address))
            {
                Baseline.KnowOwnAddress(address);
            }
        }
    }

    internal void Set(EngineFact engine)
    {
        _engines[engine.Index] = engine;
        foreach (string resolver in engine.Resolvers)
        {
            KnowResolver(resolver);
        }
    }

    internal void Set(SensorFact sensor) => _sensors[sensor.Sensor] = sensor;

    internal EngineFact? EngineOfSocket(ulong inode) => _engines.Values.FirstOrDefault(e => e.SocketInode == inode);

    internal EngineFact? EngineOfDaemon(int pid) => _engines.Values.FirstOrDefault(e => e.DaemonPid == pid && pid > 0);

    /// <summary>A name that is the same whenever the same stream is read again.</summary>
    internal string MakeId(string prefix, params ReadOnlySpan<string> parts)
    {
        var text = new StringBuilder(Host?.HostId).Append('|').Append(Host?.BootId);
        foreach (string part in parts)
        {
            _ = text.Append('|').Append(part);
        }

        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString()));
        return string.Create(CultureInfo.InvariantCulture, $"{prefix}{Convert.ToHexStringLower(hash.AsSpan(0, 10))}");
    }

    private void KnowResolver(string text)
    {
        if (NetAddress.TryParse(text, out NetAddress address))
        {
            Baseline.KnowResolver(address);
        }
    }
}
