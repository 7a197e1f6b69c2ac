using ImageSentinel.Detection.Detectors;

namespace ImageSentinel.Detection.Posture;

/// <summary>The detectors of the family <c>posture-*</c>, with the ATT&amp;CK mitigations of T1612 that each is about.</summary>
public static class PostureDetectors
{
    public static DetectorDefinition ApiOverTcp { get; } = Define(
        "posture-api-tcp", "The engine's API listens on the network", "M1035", "M1030");

    public static DetectorDefinition SocketAccess { get; } = Define(
        "posture-socket-access", "The engine's socket is open to more than root", "M1026", "M1035");

    public static DetectorDefinition SocketInContainer { get; } = Define(
        "posture-socket-in-container", "A running container holds the engine's socket", "M1035", "M1026");

    public static DetectorDefinition Authorization { get; } = Define(
        "posture-authorization", "Nobody decides which API requests the engine obeys", "M1035", "M1026");

    public static DetectorDefinition InsecureRegistry { get; } = Define(
        "posture-insecure-registry", "The engine takes images over unprotected connections", "M1047", "M1035");

    public static DetectorDefinition ContainerBuilder { get; } = Define(
        "posture-container-builder", "A builder runs inside a container", "M1047", "M1026");

    public static DetectorDefinition UserNamespace { get; } = Define(
        "posture-userns", "Root in a container is root of the host", "M1026");

    public static DetectorDefinition ContainerRoot { get; } = Define(
        "posture-container-root", "Containers run as root or privileged", "M1026");

    public static IReadOnlyList<DetectorDefinition> All { get; } =
    [
        ApiOverTcp, SocketAccess, SocketInContainer, Authorization, InsecureRegistry, ContainerBuilder, UserNamespace, ContainerRoot,
    ];

    private static DetectorDefinition Define(string id, string title, params string[] mitigations)
        => new(id, title, ["T1612"], []) { Mitigations = mitigations };
}
