using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Clients;

/// <summary>One peer of an engine's API: a process on this host, or a remote address. Connections are grouped by peer,
/// because one build opens up to twelve.</summary>
public sealed class ClientSession(int engine, Stamp first)
{
    private const int MaximumRequests = 8;

    private readonly List<ApiRequest> _requests = [];

    public int Engine { get; } = engine;

    public Stamp First { get; } = first;

    public Stamp Last { get; internal set; } = first;

    public int Connections { get; internal set; }

    /// <summary>The process that a person would name: <c>docker</c>, not its plugin.</summary>
    public ProcessNode? Process { get; internal init; }

    /// <summary>Taken while it ran; a process tree node may be gone when the build is told.</summary>
    public ProcessSnapshot? Snapshot { get; internal set; }

    public NetAddress? Address { get; internal set; }

    public ushort Port { get; internal set; }

    /// <summary>Remote peers: the listener demands TLS.</summary>
    public bool Tls { get; internal set; }

    public ClientCommand Command { get; internal set; } = ClientCommand.Unknown;

    /// <summary>The Dockerfile its command line names, as read while it ran.</summary>
    public Dockerfile? Dockerfile { get; internal set; }

    /// <summary>Requests that make or change something, as read from the wire. Bounded.</summary>
    public IReadOnlyList<ApiRequest> Requests => _requests;

    /// <summary>Requests were read, and none of them makes or changes anything.</summary>
    public bool Reads { get; private set; }

    /// <summary>Takes a request that was read from the wire.</summary>
    internal void Asked(string method, string target, ushort port, Stamp at)
    {
        if (method is "GET" or "HEAD")
        {
            Reads |= _requests.Count == 0;
            return;
        }

        Reads = false;
        if (_requests.Count == MaximumRequests)
        {
            _requests.RemoveAt(0);
        }

        _requests.Add(new ApiRequest(at, port, $"{method} {target}"));
        ClientCommand command = ClientCommand.OfRequest(target);
        Command = command.Intent == ClientIntent.Unknown ? Command : command;
    }

    /// <summary>When the peer went away; null while it may still ask for things.</summary>
    public Stamp? Ended => Process?.Ended;

    public bool AliveAt(Stamp at, long slack) => Ended is not { } ended || ended.Boot + slack >= at.Boot;
}

/// <summary>A request on plain TCP: method and target, from a client's port.</summary>
public sealed record ApiRequest(Stamp At, ushort Port, string Text);
