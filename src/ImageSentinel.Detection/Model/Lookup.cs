namespace ImageSentinel.Detection.Model;

/// <summary>A question the core asks the edge. The answer comes back as a <see cref="Fact"/> in the stream, or never.</summary>
public abstract record Lookup;

/// <summary>Read an executor bundle's configuration. Answer: <see cref="BundleFact"/>.</summary>
/// <param name="Pid">The builder whose file system the path is in, when that is not the engine's; 0 for the engine's.</param>
public sealed record BundleLookup(int Engine, string StepId, string Bundle, int Pid = 0) : Lookup;

/// <summary>Find an image that a builder without a daemon left in its store. Answer: <see cref="StoreImageFact"/>.</summary>
/// <param name="Pid">A process in whose file system the store is; 0 for the host's.</param>
/// <param name="Root">The store's directory.</param>
/// <param name="Names">References to look for; the first that is there counts.</param>
public sealed record StoreImageLookup(string BuildId, int Pid, string Root, IReadOnlyList<string> Names) : Lookup;

/// <summary>Read a container's configuration. Answer: <see cref="ContainerFact"/>.</summary>
public sealed record ContainerLookup(int Engine, string ContainerId) : Lookup;

/// <summary>Read an image's configuration and layers. Answer: <see cref="ImageFact"/>.</summary>
public sealed record ImageLookup(int Engine, string ImageId) : Lookup;

/// <summary>Read the engine's references. Answer: <see cref="TagsFact"/>.</summary>
public sealed record TagsLookup(int Engine) : Lookup;

/// <summary>Read a file under the data root that may be a Dockerfile. Answer: <see cref="DockerfileFact"/>.</summary>
public sealed record DockerfileLookup(int Engine, string Path) : Lookup;

/// <summary>Look at a file that a step wrote: what it is, how large, its hash. Answer: <see cref="LayerFileFact"/>.</summary>
/// <param name="Layer">Directory name of the layer.</param>
/// <param name="Path">Below the layer, no leading slash; bytes as the file system has them.</param>
public sealed record LayerFileLookup(int Engine, string Layer, byte[] Path) : Lookup;

/// <summary>Read the Dockerfile that a client names on its command line. Answer: <see cref="DockerfileFact"/>.</summary>
public sealed record ClientDockerfileLookup(int Engine, int Pid, string Path) : Lookup;

/// <summary>Read a process and its ancestors. Answers: <see cref="ProcessFact"/>.</summary>
public sealed record ProcessLookup(int Pid) : Lookup;

/// <summary>Read the addresses of a process's network namespace. Answer, always: <see cref="ProcessNetworkFact"/>.</summary>
public sealed record ProcessNetworkLookup(int Pid) : Lookup;

/// <summary>Read the counters of these addresses' flows, where the kernel keeps any. Answer: <see cref="FlowsFact"/>.</summary>
public sealed record FlowsLookup(IReadOnlyList<string> Addresses) : Lookup;
