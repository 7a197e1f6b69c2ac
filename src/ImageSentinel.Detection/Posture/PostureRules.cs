using System.Globalization;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Text;

namespace ImageSentinel.Detection.Posture;

/// <summary>Judges how an engine is set up. The same reading always gives the same checks, in the same order.</summary>
public static class PostureRules
{
    private const uint WorldWrite = 0b000_000_010;
    private const int Named = 5;

    public static IReadOnlyList<PostureCheck> Judge(PostureFact fact)
    {
        ArgumentNullException.ThrowIfNull(fact);
        return
        [
            ApiOverTcp(fact),
            SocketAccess(fact),
            SocketInContainer(fact),
            Authorization(fact),
            InsecureRegistry(fact),
            ContainerBuilder(fact),
            UserNamespace(fact),
            ContainerRoot(fact),
        ];
    }

    /// <summary><c>0.0.0.0:2375</c>, <c>[::]:2376</c>.</summary>
    public static string Endpoint(ApiListener listener)
    {
        ArgumentNullException.ThrowIfNull(listener);
        return listener.Address.Contains(':', StringComparison.Ordinal)
            ? string.Create(CultureInfo.InvariantCulture, $"[{listener.Address}]:{listener.Port}")
            : string.Create(CultureInfo.InvariantCulture, $"{listener.Address}:{listener.Port}");
    }

    public static string Endpoints(PostureFact fact) => string.Join(", ", fact.Listeners.Select(Endpoint));

    private static PostureCheck ApiOverTcp(PostureFact fact)
    {
        DetectorDefinition detector = PostureDetectors.ApiOverTcp;
        if (fact.Listeners.Count == 0)
        {
            return Unread(fact, "listeners") is { } why ? Unknown(detector, why) : Ok(detector, "the API listens on its local socket only");
        }

        string where = Endpoints(fact);
        bool beyond = fact.Listeners.Any(static l => !IsLoopback(l.Address));
        string[] evidence = [.. fact.Listeners.Select(l => $"{Endpoint(l)} is a listening socket of the daemon{Reach(l.Address)}"), TlsText(fact)];
        if (fact is { Tls: true, TlsVerify: true })
        {
            return beyond
                ? Weak(detector, Severity.Low, $"the API listens on {where} with TLS and client certificates", evidence,
                    "let a firewall admit only the hosts that need it, and list them in trusted_clients (remote: CIDR)", where)
                : Ok(detector, $"the API listens on {where}, loopback only, with TLS and client certificates");
        }

        string how = fact.Tls ? "with TLS but without asking for a client certificate" : "without TLS";
        return Weak(
            detector,
            beyond ? Severity.Critical : Severity.High,
            $"the API listens on {where} {how}: whoever reaches it is root on this host",
            evidence,
            "remove -H tcp://… (\"hosts\" in daemon.json) and use docker -H ssh://; or set \"tlsverify\": true with a CA of your own, port 2376, behind a firewall",
            where + how);
    }

    private static PostureCheck SocketAccess(PostureFact fact)
    {
        DetectorDefinition detector = PostureDetectors.SocketAccess;
        if (fact.SocketMode == 0)
        {
            return Unknown(detector, Unread(fact, "socket") ?? "the socket file could not be read");
        }

        string owner = SafeText.Display(fact.SocketOwner, 64);
        string group = SafeText.Display(fact.SocketGroup, 64);
        string mode = Convert.ToString(fact.SocketMode & 0xFFF, 8).PadLeft(4, '0');
        string file = $"{SafeText.Display(fact.Socket, 200)} has mode {mode}, owner {owner}, group {group}";
        if ((fact.SocketMode & WorldWrite) != 0)
        {
            return Weak(detector, Severity.Critical, $"every user of this host may use the socket (mode {mode}): each of them is root", [file],
                $"chmod 0660 {SafeText.Display(fact.Socket, 200)}, and mend what sets it (SocketMode= of docker.socket)", mode);
        }

        if (fact.GroupMembers.Count == 0)
        {
            return Ok(detector, $"mode {mode}, owner {owner}, group {group} without members");
        }

        string members = Some(fact.GroupMembers);
        return Weak(detector, Severity.Low, $"{Number(fact.GroupMembers.Count, "user")} may use the socket through group {group} and can become root: {members}",
            [file, $"members of {group}: {members}"],
            $"take out who does not need it (gpasswd -d USER {group}); list who may build in trusted_clients", string.Join(',', fact.GroupMembers));
    }

    private static PostureCheck SocketInContainer(PostureFact fact)
    {
        DetectorDefinition detector = PostureDetectors.SocketInContainer;
        PostureContainer[] holders = [.. fact.Containers.Where(static c => c.SocketSource.Length > 0)];
        if (holders.Length == 0)
        {
            return Unread(fact, "containers") is { } why ? Unknown(detector, why) : Ok(detector, "no running container holds the socket");
        }

        return Weak(detector, Severity.High, $"{Number(holders.Length, "running container")} can ask the engine for anything: {Names(holders)}",
            [.. holders.Take(Named).Select(static c => $"{Name(c)} has {SafeText.Display(c.SocketSource, 200)} at {SafeText.Display(c.SocketTarget, 200)}; a read-only mount changes nothing")],
            "run it without the socket; where it must build, give it a rootless builder of its own, or list its image in trusted_clients (container_image)",
            string.Join(',', holders.Select(static c => c.Id)));
    }

    private static PostureCheck Authorization(PostureFact fact)
    {
        DetectorDefinition detector = PostureDetectors.Authorization;
        if (fact.AuthorizationPlugins.Count == 0)
        {
            return Unread(fact, "engine") is { } why
                ? Unknown(detector, why)
                : Weak(detector, Severity.Informational, "no authorization plugin: who reaches the API may do everything", ["GET /info names no authorization plugin"],
                    "optional: \"authorization-plugins\" in daemon.json. It sees requests, never a peer's address or process, and nothing of what buildx says inside /grpc", "none");
        }

        return Ok(detector, $"authorization plugin {Some(fact.AuthorizationPlugins)}; it sees neither the peer's address, pid or uid nor a build's context, and of buildx (POST /grpc) neither tag nor arguments");
    }

    private static PostureCheck InsecureRegistry(PostureFact fact)
    {
        DetectorDefinition detector = PostureDetectors.InsecureRegistry;
        if (fact.InsecureRegistries.Count == 0)
        {
            return Unread(fact, "engine") is { } why ? Unknown(detector, why) : Ok(detector, "registries other than loopback must prove themselves by TLS");
        }

        return Weak(detector, Severity.Medium, $"images come unprotected from {Some(fact.InsecureRegistries)}: whoever is on the way can change them",
            [.. fact.InsecureRegistries.Take(Named).Select(static r => $"{SafeText.Display(r, 100)} is an insecure registry")],
            "give the registry a certificate and remove it from \"insecure-registries\" in daemon.json", string.Join(',', fact.InsecureRegistries));
    }

    private static PostureCheck ContainerBuilder(PostureFact fact)
    {
        DetectorDefinition detector = PostureDetectors.ContainerBuilder;
        PostureContainer[] builders = [.. fact.Containers.Where(static c => c.Builder.Length > 0)];
        if (builders.Length == 0)
        {
            return Unread(fact, "containers") is { } why ? Unknown(detector, why) : Ok(detector, "no builder runs inside a container");
        }

        bool privileged = builders.Any(static c => c.Privileged);
        return Weak(detector, privileged ? Severity.Medium : Severity.Low,
            $"{Number(builders.Length, "builder")} inside a container, out of sight of the engine's events: {Names(builders)}",
            [.. builders.Take(Named).Select(static c => $"{Name(c)} runs {c.Builder} from {SafeText.Display(c.Image, 120)}{(c.Privileged ? ", privileged" : "")}")],
            "if nobody needs it: docker buildx rm NAME, docker rm -f NAME; its builds are recorded as BUILDER_CONTAINER_DRIVER",
            string.Join(',', builders.Select(static c => c.Id)));
    }

    private static PostureCheck UserNamespace(PostureFact fact)
    {
        DetectorDefinition detector = PostureDetectors.UserNamespace;
        string? remapped = fact.SecurityOptions.FirstOrDefault(static o => o is "rootless" or "userns");
        if (remapped is not null)
        {
            return Ok(detector, remapped == "rootless" ? "the engine runs rootless" : "containers have a user namespace of their own (userns-remap)");
        }

        return Unread(fact, "engine") is { } why
            ? Unknown(detector, why)
            : Weak(detector, Severity.Informational, "neither rootless nor userns-remap: uid 0 in a step or container is uid 0 of the host",
                [$"GET /info names as security options: {(fact.SecurityOptions.Count > 0 ? Some(fact.SecurityOptions) : "none")}"],
                "\"userns-remap\": \"default\" in daemon.json (images are pulled anew), or rootless mode", "none");
    }

    private static PostureCheck ContainerRoot(PostureFact fact)
    {
        DetectorDefinition detector = PostureDetectors.ContainerRoot;
        PostureContainer[] privileged = [.. fact.Containers.Where(static c => c.Privileged)];
        PostureContainer[] root = [.. fact.Containers.Where(static c => IsRoot(c.User))];
        if (privileged.Length > 0)
        {
            return Weak(detector, Severity.Medium, $"{Number(privileged.Length, "running container")} privileged: {Names(privileged)}",
                [.. privileged.Take(Named).Select(static c => $"{Name(c)} from {SafeText.Display(c.Image, 120)} is privileged: it has the host's devices")],
                "run it without --privileged; name the devices and capabilities that it needs", string.Join(',', privileged.Select(static c => c.Id)));
        }

        bool mapped = fact.SecurityOptions.Any(static o => o is "rootless" or "userns");
        if (root.Length > 0 && !mapped)
        {
            return Weak(detector, Severity.Low, $"{Number(root.Length, "running container")} as root: {Names(root)}",
                [.. root.Take(Named).Select(static c => $"{Name(c)} from {SafeText.Display(c.Image, 120)} runs as {(c.User.Length == 0 ? "root, by default" : SafeText.Display(c.User, 40))}")],
                "USER in its Dockerfile, or --user", "root");
        }

        return Unread(fact, "containers") is { } why
            ? Unknown(detector, why)
            : Ok(detector, root.Length > 0 ? "containers as root, in a user namespace of their own" : "no running container is privileged or runs as root");
    }

    private static bool IsRoot(string user)
    {
        string name = user.Split(':')[0];
        return name is "" or "0" or "root";
    }

    private static bool IsLoopback(string address) => address == "::1" || address.StartsWith("127.", StringComparison.Ordinal);

    private static string Reach(string address) => address is "0.0.0.0" or "::" ? ", on every address of this host"
        : IsLoopback(address) ? ", for this host only" : "";

    private static string TlsText(PostureFact fact) => fact switch
    {
        { Tls: true, TlsVerify: true } => "the daemon demands TLS and a client certificate (--tlsverify)",
        { Tls: true } => "the daemon speaks TLS and asks for no client certificate (--tls without --tlsverify)",
        _ => "neither --tls nor --tlsverify, on the command line or in daemon.json",
    };

    private static string? Unread(PostureFact fact, string what)
        => fact.Unread.FirstOrDefault(u => u.StartsWith(what + ":", StringComparison.Ordinal));

    private static string Name(PostureContainer container)
        => $"{SafeText.Display(container.Name, 80)} ({SafeText.Display(container.Id[..Math.Min(12, container.Id.Length)], 12)})";

    private static string Names(IReadOnlyList<PostureContainer> containers) => Some([.. containers.Select(static c => c.Name)]);

    private static string Some(IReadOnlyList<string> names)
    {
        string text = string.Join(", ", names.Take(Named).Select(static n => SafeText.Display(n, 80)));
        return names.Count > Named ? string.Create(CultureInfo.InvariantCulture, $"{text} and {names.Count - Named} more") : text;
    }

    private static string Number(int count, string what)
        => string.Create(CultureInfo.InvariantCulture, $"{count} {what}{(count == 1 ? "" : "s")}");

    private static PostureCheck Ok(DetectorDefinition detector, string found) => new(detector, PostureResult.Ok, Severity.None, found, [], "", "");

    private static PostureCheck Unknown(DetectorDefinition detector, string why)
        => new(detector, PostureResult.Unknown, Severity.None, SafeText.Display(why, 300), [], "run it as root, on the host", "");

    private static PostureCheck Weak(DetectorDefinition detector, Severity severity, string found, IReadOnlyList<string> evidence, string fix, string subject)
        => new(detector, PostureResult.Weak, severity, found, evidence, fix, subject);
}
