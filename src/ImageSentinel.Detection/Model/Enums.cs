namespace ImageSentinel.Detection.Model;

public enum Severity
{
    None = 0,
    Informational = 1,
    Low = 2,
    Medium = 3,
    High = 4,
    Critical = 5,
}

public enum Verdict
{
    None = 0,
    Clean = 1,
    Suspicious = 2,
    Malicious = 3,

    /// <summary>Something was lost or could not be seen while the build ran; it is never called clean.</summary>
    Unknown = 4,
}

public enum Builder
{
    None = 0,
    BuildKit = 1,
    Classic = 2,
    ContainerDriver = 3,
    Buildah = 4,
    Commit = 5,
    Import = 6,
    Load = 7,

    /// <summary>A builder that executes instructions in its own container, as kaniko does.</summary>
    Kaniko = 50,
}

public enum BuildResult
{
    None = 0,
    Succeeded = 1,
    Failed = 2,
    Cancelled = 3,
    NoImage = 4,
}

public enum StepKind
{
    None = 0,
    Run = 1,
    Frontend = 2,
}

public enum StepNetwork
{
    None = 0,
    Bridge = 1,
    Host = 2,
    Isolated = 3,
}

public enum EgressOutcome
{
    None = 0,
    Established = 1,
    InProgress = 2,
    Sent = 3,
    Refused = 4,
    Unreachable = 5,
    TimedOut = 6,
    Interrupted = 7,
    Failed = 8,
}

public enum EgressPath
{
    None = 0,
    Syscall = 1,
    Syscall32 = 2,
    IoUring = 3,
    FlowOnly = 4,
}

public enum Novelty
{
    None = 0,
    NeverSeen = 1,
    NewToImage = 2,
    Known = 3,
    Learning = 4,
}

public enum Transport
{
    None = 0,
    Unix = 1,
    Tcp = 2,
    Tls = 3,

    /// <summary>No transport: the requester runs the builder itself.</summary>
    Local = 50,
}
