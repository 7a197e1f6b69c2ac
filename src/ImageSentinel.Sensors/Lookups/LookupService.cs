using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Text;
using ImageSentinel.Docker;
using ImageSentinel.Interop;
using ImageSentinel.Kernel.Proc;
using ImageSentinel.Sensors.Conntrack;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Sensors.Lookups;

/// <summary>Answers the core's questions from the engine's data root and the process file system.</summary>
/// <remarks>
/// Owns one thread, and a second one that looks at files of layers; the core never waits for either. Everything read below a data root is opened with openat2 so that no name
/// written there can lead out. Questions beyond <see cref="MaximumWaiting"/> are dropped and counted: an unanswered
/// question makes a build less well described, never wrong.
/// </remarks>
public sealed class LookupService : IDisposable
{
    private const int MaximumWaiting = 4096;
    private const int MaximumFile = 4 << 20;
    private const int MaximumDockerfile = 1 << 20;

    private readonly BlockingCollection<Lookup> _questions = new(MaximumWaiting);
    private readonly ConcurrentDictionary<int, EngineFact> _engines = new();
    private readonly ISensorQueue _queue;
    private readonly LayerFileReader _files;
    private readonly Thread _thread;
    private long _dropped;
    private volatile bool _busy;

    public LookupService(ISensorQueue queue)
    {
        _queue = queue;
        _files = new LayerFileReader(engine => EngineOf(engine)?.DataRoot, fact => Tell(queue, fact));
        _thread = new Thread(Run) { IsBackground = true, Name = "is-lookups" };
    }

    /// <summary>Questions that did not fit. One that has no answer (the process is gone) is not among them.</summary>
    public long Dropped => Interlocked.Read(ref _dropped) + _files.Dropped;

    public void Start()
    {
        _thread.Start();
        _files.Start();
    }

    public void Know(EngineFact engine) => _engines[engine.Index] = engine;

    /// <summary>Takes a question; never blocks.</summary>
    public void Ask(Lookup lookup)
    {
        if (lookup is LayerFileLookup file)
        {
            _files.Ask(file);
        }
        else if (_questions.IsAddingCompleted || !_questions.TryAdd(lookup))
        {
            _ = Interlocked.Increment(ref _dropped);
        }
    }

    /// <summary>Tells who already holds a connection to the engine, each with its ancestors.</summary>
    /// <remarks>pidfd_getfd(2) and SO_PEERCRED, the one way that also works for a client in another network namespace.
    /// Without CAP_SYS_PTRACE nothing is told: clients that connect from now on are seen all the same.</remarks>
    public void TellPeers(EngineFact engine)
    {
        var told = new HashSet<int>();
        try
        {
            using PidFd? daemon = PidFd.TryOpen(engine.DaemonPid);
            if (daemon is null)
            {
                return;
            }

            foreach (string path in Directory.EnumerateFiles(string.Create(CultureInfo.InvariantCulture, $"/proc/{engine.DaemonPid}/fd")))
            {
                bool socket = new FileInfo(path).LinkTarget?.StartsWith("socket:", StringComparison.Ordinal) == true;
                if (socket
                    && int.TryParse(Path.GetFileName(path.AsSpan()), NumberStyles.None, CultureInfo.InvariantCulture, out int descriptor)
                    && daemon.PeerOf(descriptor) is { Pid: > 1 } peer
                    && peer.Pid != engine.DaemonPid
                    && told.Add(peer.Pid))
                {
                    TellAncestry(peer.Pid);
                    Tell(_queue, new EnginePeerFact(engine.Index, peer.Pid));
                }
            }
        }
        catch (Exception e) when (e is LinuxException or IOException or UnauthorizedAccessException)
        {
            // The daemon went away; clients that connect from now on are seen all the same.
        }
    }

    /// <summary>Tells every process of the host, parents first.</summary>
    public void TellAllProcesses()
    {
        foreach (ProcessFact process in ProcessReader.ReadAll())
        {
            Tell(_queue, process);
        }
    }

    /// <summary>Waits until all questions asked so far are answered, at most <paramref name="patience"/>.</summary>
    public void WaitUntilIdle(TimeSpan patience)
    {
        var waited = Stopwatch.StartNew();
        while ((_questions.Count > 0 || _busy) && waited.Elapsed < patience)
        {
            Thread.Sleep(1);
        }
    }

    public void Dispose()
    {
        _questions.CompleteAdding();
        if (_thread.IsAlive)
        {
            _thread.Join();
        }

        _questions.Dispose();
        _files.Dispose();
    }

    /// <summary>Puts a fact into the stream with the present time.</summary>
    public static void Tell(ISensorQueue queue, Fact fact)
        => queue.TryWrite(FactCodec.ToItem(fact, Clocks.BootNanoseconds, Clocks.WallNanoseconds), 0);

    /// <summary>What was there before the agent: Dockerfiles the engine still holds, its references.</summary>
    public void AskForWhatIsThere(EngineFact engine)
    {
        Ask(new TagsLookup(engine.Index));
        string overlay = engine.DataRoot + "/overlay2";
        if (!Directory.Exists(overlay))
        {
            return;
        }

        foreach (DirectoryInfo snapshot in new DirectoryInfo(overlay).EnumerateDirectories()
            .Where(static d => d.Name.Length == 25)
            .OrderByDescending(static d => d.LastWriteTimeUtc)
            .Take(500))
        {
            string diff = snapshot.FullName + "/diff";
            if (Directory.Exists(diff))
            {
                // A Dockerfile's snapshot holds one or two files and no directories.
                FileSystemInfo[] entries = [.. new DirectoryInfo(diff).EnumerateFileSystemInfos().Take(4)];
                if (entries.Length is > 0 and < 4 && entries.All(static e => e is FileInfo))
                {
                    foreach (FileSystemInfo file in entries)
                    {
                        Ask(new DockerfileLookup(engine.Index, $"overlay2/{snapshot.Name}/diff/{file.Name}"));
                    }
                }
            }
        }
    }

    private void Run()
    {
        foreach (Lookup lookup in _questions.GetConsumingEnumerable())
        {
            _busy = true;
            try
            {
                Answer(lookup);
            }
#pragma warning disable CA1031 // What is read was written by others, step and client among them: no file of theirs may end this thread, and with it the agent.
            catch (Exception)
#pragma warning restore CA1031
            {
                // Gone, not readable now, or not what its place promises; the core goes on without.
            }

            _busy = _questions.Count > 0;
        }
    }

    private void Answer(Lookup lookup)
    {
        if (lookup is ProcessLookup process)
        {
            TellAncestry(process.Pid);
            return;
        }

        Fact? fact = lookup switch
        {
            BundleLookup bundle => ReadBundle(bundle),
            ContainerLookup container => EngineOf(container.Engine) is { } e ? ReadContainer(e, container) : null,
            ImageLookup image => EngineOf(image.Engine) is { } e ? ReadImage(e, image) : null,
            TagsLookup tags => EngineOf(tags.Engine) is { } e
                ? EngineFiles.Tags(Read(e, $"image/{e.StorageDriver}/repositories.json", MaximumFile), tags.Engine)
                : null,
            DockerfileLookup dockerfile => EngineOf(dockerfile.Engine) is { } e
                ? AsDockerfile(Read(e, dockerfile.Path, MaximumDockerfile), dockerfile.Engine, dockerfile.Path, 0)
                : null,
            ClientDockerfileLookup client => ReadClientDockerfile(client),
            StoreImageLookup image => StoreReader.Find(image),
            FlowsLookup flows => ConntrackSensor.CountsBytes ? FlowDump.Read(flows.Addresses) : null,
            ProcessNetworkLookup network => ProcessNetworkReader.Read(network.Pid),
            _ => null,
        };
        if (fact is not null)
        {
            Tell(_queue, fact);
        }
    }

    private EngineFact? EngineOf(int index) => _engines.GetValueOrDefault(index) is { DataRoot.Length: > 0 } engine ? engine : null;

    private static byte[] Read(EngineFact engine, string path, int limit)
        => SafeFile.ReadBeneath(engine.DataRoot, path, limit, out byte[] content) == SafeReadStatus.Done ? content : [];

    private void TellAncestry(int pid)
    {
        var chain = new List<ProcessFact>();
        for (int current = pid; current > 1 && chain.Count < 64;)
        {
            if (ProcessReader.Read(current) is not { } process)
            {
                break;
            }

            chain.Add(process);
            current = process.ParentPid;
        }

        for (int i = chain.Count - 1; i >= 0; i--)
        {
            Tell(_queue, chain[i]);
        }
    }

    private BundleFact? ReadBundle(BundleLookup lookup)
    {
        EngineFact? engine = EngineOf(lookup.Engine);
        string root = lookup.Pid > 0 ? string.Create(CultureInfo.InvariantCulture, $"/proc/{lookup.Pid}/root")
            : engine is not null && lookup.Bundle.StartsWith(engine.DataRoot + "/", StringComparison.Ordinal) ? engine.DataRoot : "/";
        string relative = (lookup.Pid > 0 ? lookup.Bundle : lookup.Bundle[root.Length..]).TrimStart('/') + "/config.json";
        return SafeFile.ReadBeneath(root, relative, MaximumFile, out byte[] content) == SafeReadStatus.Done
            ? EngineFiles.Bundle(content, lookup.Engine, lookup.StepId, lookup.Bundle, LayerOf(lookup.Pid > 0 ? lookup.Pid : engine?.DaemonPid ?? 0, lookup.Bundle))
            : null;
    }

    // While a step runs, the daemon's mount table ties its bundle to the directory it writes: the line mounted on
    // <bundle>/rootfs names the overlay's upperdir.
    private static string LayerOf(int daemon, string bundle)
    {
        if (daemon == 0)
        {
            return "";
        }

        byte[] mountPoint = Encoding.UTF8.GetBytes(bundle + "/rootfs");
        foreach (string line in File.ReadLines(string.Create(CultureInfo.InvariantCulture, $"/proc/{daemon}/mountinfo")))
        {
            byte[] bytes = Encoding.UTF8.GetBytes(line);
            if (MountRecord.TryParse(bytes, out MountRecord mount) == System.Buffers.OperationStatus.Done
                && mount.MountPoint.SequenceEqual(mountPoint)
                && mount.TryFindOption("upperdir"u8, out ReadOnlySpan<byte> upper)
                && upper.EndsWith("/diff"u8))
            {
                ReadOnlySpan<byte> directory = upper[..^5];
                return Encoding.UTF8.GetString(directory[(directory.LastIndexOf((byte)'/') + 1)..]);
            }
        }

        return "";
    }

    private static ContainerFact? ReadContainer(EngineFact engine, ContainerLookup lookup) => EngineFiles.Container(
        Read(engine, $"containers/{lookup.ContainerId}/config.v2.json", MaximumFile),
        Read(engine, $"containers/{lookup.ContainerId}/hostconfig.json", MaximumFile),
        engine.Index,
        lookup.ContainerId,
        Encoding.UTF8.GetString(Read(engine, $"image/{engine.StorageDriver}/layerdb/mounts/{lookup.ContainerId}/mount-id", 256)).Trim());

    private static ImageFact? ReadImage(EngineFact engine, ImageLookup lookup)
    {
        string store = $"image/{engine.StorageDriver}";
        string name = lookup.ImageId.Replace("sha256:", "", StringComparison.Ordinal);
        string parent = Encoding.UTF8.GetString(Read(engine, $"{store}/imagedb/metadata/sha256/{name}/parent", 256)).Trim();
        ImageFact? image = EngineFiles.Image(
            Read(engine, $"{store}/imagedb/content/sha256/{name}", MaximumFile), engine.Index, lookup.ImageId, parent, out IReadOnlyList<string> diffIds);
        return image is null ? null : image with
        {
            Layers = [.. ChainIds(diffIds).Select(c => CacheId(engine, store, c))],
            DiffIds = diffIds,
        };
    }

    // OCI image spec: chain(0) = diff(0); chain(n) = sha256(chain(n-1) + " " + diff(n)).
    private static IEnumerable<string> ChainIds(IReadOnlyList<string> diffIds)
    {
        string chain = "";
        foreach (string diff in diffIds)
        {
            chain = chain.Length == 0 ? diff : "sha256:" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{chain} {diff}")));
            yield return chain;
        }
    }

    private static string CacheId(EngineFact engine, string store, string chain)
        => Encoding.UTF8.GetString(Read(engine, $"{store}/layerdb/{chain.Replace(':', '/')}/cache-id", 256)).Trim();

    private static DockerfileFact? AsDockerfile(byte[] content, int engine, string origin, int clientPid)
    {
        if (content.Length == 0 || content.AsSpan().Contains((byte)0))
        {
            return null;
        }

        string text = Encoding.UTF8.GetString(content);
        return text.Contains("FROM", StringComparison.OrdinalIgnoreCase)
            ? new DockerfileFact(engine, origin, clientPid, Redactor.Redact(text))
            : null;
    }

    // The client chose this path; it is resolved inside the client's own root, and nothing but a plain file is read.
    private static DockerfileFact? ReadClientDockerfile(ClientDockerfileLookup lookup)
    {
        string root = string.Create(CultureInfo.InvariantCulture, $"/proc/{lookup.Pid}/root");
        string cwd = new FileInfo(string.Create(CultureInfo.InvariantCulture, $"/proc/{lookup.Pid}/cwd")).LinkTarget ?? "/";
        string path = Path.GetFullPath(lookup.Path, cwd).TrimStart('/');
        return SafeFile.ReadBeneath(root, path, MaximumDockerfile, out byte[] content) == SafeReadStatus.Done
            ? AsDockerfile(content, lookup.Engine, string.Create(CultureInfo.InvariantCulture, $"client:{lookup.Pid}"), lookup.Pid)
            : null;
    }
}
