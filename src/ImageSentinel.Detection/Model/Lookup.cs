namespace ImageSentinel.Detection.Model;

/// <summary>A question the core asks the edge. The answer comes back as a <see cref="Fact"/> in the stream, or never.</summary>
public abstract record Lookup;

/// <summary>Read an executor bundle's configuration. Answer: <see cref="BundleFact"/>.</summary>
public sealed record BundleLookup(int Engine, string StepId, string Bundle) : Lookup;

/// <summary>Read a container's configuration. Answer: <see cref="ContainerFact"/>.</summary>
public sealed record ContainerLookup(int Engine, string ContainerId) : Lookup;

/// <summary>Read an image's configuration and layers. Answer: <see cref="ImageFact"/>.</summary>
public sealed record ImageLookup(int Engine, string ImageId) : Lookup;

/// <summary>Read the engine's references. Answer: <see cref="TagsFact"/>.</summary>
public sealed record TagsLookup(int Engine) : Lookup;

/// <summary>Read a file under the data root that may be a Dockerfile. Answer: <see cref="DockerfileFact"/>.</summary>
public sealed record DockerfileLookup(int Engine, string Path) : Lookup;

/// <summary>Read the Dockerfile that a client names on its command line. Answer: <see cref="DockerfileFact"/>.</summary>
public sealed record ClientDockerfileLookup(int Engine, int Pid, string Path) : Lookup;

/// <summary>Read a process and its ancestors. Answers: <see cref="ProcessFact"/>.</summary>
public sealed record ProcessLookup(int Pid) : Lookup;
