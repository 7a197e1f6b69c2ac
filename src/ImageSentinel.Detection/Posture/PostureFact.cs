using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Posture;

/// <summary>How an engine is set up, as read at the edge: nothing here is judged yet.</summary>
/// <param name="Engine">Position in the configuration.</param>
/// <param name="Socket">Path of the API socket.</param>
/// <param name="SocketMode">Permission bits of the socket file (inode(7)); 0 when it could not be read.</param>
/// <param name="SocketOwner">Name, or number where the host's passwd file has none.</param>
/// <param name="SocketGroup">Name, or number where the host's group file has none.</param>
/// <param name="GroupMembers">Users in that group, by either file; root left out.</param>
/// <param name="Listeners">TCP listeners of the daemon's API; by the kernel's table, or by the configuration alone.</param>
/// <param name="Tls">Listeners speak TLS (<c>--tls</c>).</param>
/// <param name="TlsVerify">They also demand a client certificate (<c>--tlsverify</c>).</param>
/// <param name="InsecureRegistries">Hosts and networks other than loopback, which every engine takes.</param>
/// <param name="SecurityOptions">As GET /info names them: "rootless", "userns", "seccomp", …</param>
/// <param name="Containers">Running ones, at most the reader's bound.</param>
/// <param name="ContainersBeyond">Running ones that were not looked at.</param>
/// <param name="Unread">What could not be read, and why, in words.</param>
public sealed record PostureFact(
    int Engine,
    string Socket,
    uint SocketMode,
    string SocketOwner,
    string SocketGroup,
    IReadOnlyList<string> GroupMembers,
    IReadOnlyList<ApiListener> Listeners,
    bool Tls,
    bool TlsVerify,
    IReadOnlyList<string> AuthorizationPlugins,
    IReadOnlyList<string> InsecureRegistries,
    IReadOnlyList<string> SecurityOptions,
    IReadOnlyList<PostureContainer> Containers,
    int ContainersBeyond,
    IReadOnlyList<string> Unread) : Fact;

/// <summary>One TCP listener of a daemon's API.</summary>
/// <param name="Address">As bound; "0.0.0.0" and "::" are all addresses of the host.</param>
public sealed record ApiListener(string Address, int Port);

/// <summary>A running container, as far as it matters here.</summary>
/// <param name="User">As configured; empty is root.</param>
/// <param name="SocketSource">Host path of a mounted engine or containerd socket, or of a folder that holds it; else empty.</param>
/// <param name="SocketTarget">Where the container sees it.</param>
/// <param name="Builder">"buildkitd", "buildah", "podman", "kaniko" when it runs one; else empty.</param>
public sealed record PostureContainer(
    string Id,
    string Name,
    string Image,
    string User,
    bool Privileged,
    string SocketSource,
    string SocketTarget,
    string Builder);
