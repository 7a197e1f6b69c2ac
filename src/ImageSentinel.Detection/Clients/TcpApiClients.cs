using System.Globalization;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Clients;

/// <summary>Clients that come over TCP: finds the process behind a connection from this host or one of its containers, and
/// keeps what can be read of their requests.</summary>
/// <remarks>
/// The accept record carries an address and nothing else; the connect record of the other side carries the process. The
/// two meet within <see cref="Window"/>, in either order: a waiting connect returns when the handshake is done, which may
/// be after the engine's accept. Two processes that connect at the same moment can be mistaken for one another; both are
/// then sessions, and the weighing of a build's requester decides.
/// </remarks>
internal sealed class TcpApiClients(CoreState state)
{
    private const long Window = 2 * Stamp.Second;
    private const int Maximum = 256;

    private readonly Dictionary<ushort, int> _ports = [];
    private readonly HashSet<NetAddress> _own = [];
    private readonly List<(int Engine, ProcessNode Node, Stamp At)> _connects = [];
    private readonly List<(ClientSession Session, ushort Port, bool Tls, Stamp At)> _accepts = [];

    public void Learn(HostFact host)
    {
        _own.Clear();
        foreach (string text in host.LocalAddresses)
        {
            if (NetAddress.TryParse(text, out NetAddress address))
            {
                _ = _own.Add(address);
            }
        }
    }

    public void Learn(EngineFact engine)
    {
        foreach (string listener in engine.Listeners.Where(static l => l.StartsWith("tcp://", StringComparison.Ordinal)))
        {
            Learn(engine.Index, PortOf(listener) is > 0 and var port ? port : (ushort)(engine.Tls ? 2376 : 2375));
        }
    }

    public void Learn(int engine, ushort port) => _ports[port] = engine;

    /// <summary>Somebody on this host connects somewhere; remembered when it is an engine's listener here.</summary>
    public void On(in EgressAttempted e)
    {
        if (_ports.Count == 0 || e.Destination.Protocol != EgressProtocol.Tcp || !_ports.TryGetValue(e.Destination.Port, out int engine)
            || !IsOwn(e.Destination.Address) || e.Outcome is EgressOutcome.Refused or EgressOutcome.Unreachable)
        {
            return;
        }

        ProcessNode node = state.Tree.Resolve(e.Caller, e.At, e.CallWall);
        if (state.IsOurs(node))
        {
            return;
        }

        if (node.Arguments.IsEmpty)
        {
            state.Output.Ask(new ProcessLookup(node.Key.Pid));
        }

        Stamp at = e.At;
        int waiting = _accepts.FindLastIndex(a => a.Session.Engine == engine && at.Since(a.At) < Window && Fits(node, a.Session.Address!.Value));
        if (waiting >= 0)
        {
            (ClientSession anonymous, ushort port, bool tls, _) = _accepts[waiting];
            _accepts.RemoveAt(waiting);
            state.Clients.Leave(anonymous);
            _ = state.Clients.ConnectOverTcp(engine, node, anonymous.Address!.Value, port, tls, anonymous.First);
            return;
        }

        _ = _connects.RemoveAll(c => at.Since(c.At) > Window);
        if (_connects.Count < Maximum)
        {
            _connects.Add((engine, node, at));
        }
    }

    /// <summary>An engine accepted a TCP connection: from a process of this host when one is known to have just connected.</summary>
    public void On(in EngineAccepted e, int engine, bool tls)
    {
        Stamp at = e.At;
        NetAddress address = e.Address;
        bool own = IsOwn(address);
        bool near = own || IsNear(address);
        int found = near
            ? _connects.FindLastIndex(c => c.Engine == engine && at.Since(c.At) < Window && (own || c.Node.Scope is ContainerScope))
            : -1;
        if (found >= 0)
        {
            ProcessNode node = _connects[found].Node;
            _connects.RemoveAt(found);
            _ = state.Clients.ConnectOverTcp(engine, node, address, e.Port, tls, at);
            return;
        }

        ClientSession session = state.Clients.Accept(engine, address, e.Port, tls, at);
        if (near)
        {
            _ = _accepts.RemoveAll(a => at.Since(a.At) > Window);
            if (_accepts.Count < Maximum)
            {
                _accepts.Add((session, e.Port, tls, at));
            }
        }
    }

    // An address of the host is a process of the host's, or a container's in the host's network; one beside it is a
    // container's. Any other is another host's, whatever else connects at the same moment.
    private bool Fits(ProcessNode node, NetAddress address)
        => IsOwn(address) || (node.Scope is ContainerScope && IsNear(address));

    /// <summary>A request on plain TCP, in clear: what the client at that address and port asks for.</summary>
    public void On(in ApiRequestSeen e)
    {
        if (!_ports.TryGetValue(e.ServerPort, out int engine) || !IsOwn(e.Server))
        {
            return;
        }

        ClientSession? session = state.Clients.FindByAddress(engine, e.Client, e.ClientPort);
        if (session is null && !IsOwn(e.Client))
        {
            session = state.Clients.Accept(engine, e.Client, e.ClientPort, tls: false, e.At);
        }

        session?.Asked(e.Method, e.Target, e.ClientPort, e.At);
    }

    private bool IsOwn(NetAddress address)
        => (address.IsIPv4 ? address.IPv4 >> 24 == 127 : address is { High: 0, Low: 1 }) || _own.Contains(address);

    // A container's address lies in the subnet of one of the host's bridges; its first 16 bits are that bridge's.
    private bool IsNear(NetAddress address) => _own.Any(o => o.IsIPv4 == address.IsIPv4
        && (address.IsIPv4 ? o.IPv4 >> 16 == address.IPv4 >> 16 : o.High == address.High));

    private static ushort PortOf(string url)
    {
        int colon = url.LastIndexOf(':');
        return ushort.TryParse(url.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port) ? port : (ushort)0;
    }
}
