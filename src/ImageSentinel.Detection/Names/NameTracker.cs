using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Names;

/// <summary>Ties names to the destinations of steps: by whose address asked, for which address, and when.</summary>
internal sealed class NameTracker(CoreState state, StepAddresses addresses)
{
    private const int MaximumServerNames = 1024;

    /// <summary>A blocking connect is told when it returns; the hello it is for may be told before.</summary>
    private const long HelloWindow = 10 * Stamp.Second;

    private readonly NameTable _table = new();
    private readonly Queue<(NetAddress Client, Destination Destination, EgressName Name, Stamp At)> _serverNames = new();

    /// <summary>Raised when a destination of a step got a name after it had been judged.</summary>
    public Action<BuildStep, Egress, EgressName, Stamp>? Named { get; set; }

    public void On(in NameResolved e)
    {
        bool trusted = e.FromOutside && state.Baseline.IsResolver(e.Server);
        _table.Add(e.Client, e.Address, new ResolvedName(e.Name, e.At, trusted));

        // The answer comes before the attempt, unless this thread was busy with others' packets.
        if (addresses.StepAt(e.Client, e.At) is { } step)
        {
            foreach (Egress egress in step.Egress)
            {
                var name = new EgressName(e.Name, NameSource.Dns);
                if (egress.Destination.Address == e.Address && egress.Add(name))
                {
                    Named?.Invoke(step, egress, name, e.At);
                }
            }
        }
    }

    public void On(in ServerNameSeen e)
    {
        var name = new EgressName(e.Name, e.Source);
        BuildStep? step = addresses.StepAt(e.Client, e.At);
        if (step is null)
        {
            addresses.Unowned(e.Client, e.Destination, e.At);
        }
        else if (step.FindEgress(e.Destination) is { } egress)
        {
            if (egress.Add(name))
            {
                Named?.Invoke(step, egress, name, e.At);
            }

            return;
        }

        _serverNames.Enqueue((e.Client, e.Destination, name, e.At));
        while (_serverNames.Count > MaximumServerNames || e.At.Since(_serverNames.Peek().At) > HelloWindow)
        {
            _ = _serverNames.Dequeue();
        }
    }

    /// <summary>Names that a configured resolver itself gave this step for the address: what may make a destination known.</summary>
    public IReadOnlyList<string> Join(BuildStep step, Egress egress, Stamp at)
    {
        var proven = new List<string>(2);
        foreach (NetAddress client in ClientsOf(step))
        {
            foreach (ResolvedName name in _table.Find(client, egress.Destination.Address, step.Started, at))
            {
                _ = egress.Add(new EgressName(name.Name, NameSource.Dns));

                // On the host's own network a step may be able to put answers on the wire itself.
                if (name.Trusted && step.Network != StepNetwork.Host)
                {
                    proven.Add(name.Name);
                }
            }

            foreach ((NetAddress source, Destination destination, EgressName name, Stamp seen) in _serverNames)
            {
                if (source == client && destination == egress.Destination && seen.Boot >= step.Started.Boot)
                {
                    _ = egress.Add(name);
                }
            }
        }

        return proven;
    }

    /// <summary>Names that a configured resolver gave the host itself for a destination: the engine's, or an ordinary
    /// process's.</summary>
    public IReadOnlyList<string> OfHost(Egress egress, Stamp at)
    {
        IReadOnlyList<string> names = OfHost(egress.Destination.Address, at);
        foreach (string name in names)
        {
            _ = egress.Add(new EgressName(name, NameSource.Dns));
        }

        return names;
    }

    public IReadOnlyList<string> OfHost(NetAddress address, Stamp at)
    {
        if (_table.Count == 0)
        {
            return [];
        }

        List<string>? found = null;
        foreach (NetAddress client in state.Baseline.OwnAddresses)
        {
            foreach (ResolvedName name in _table.Find(client, address, default, at))
            {
                if (name.Trusted)
                {
                    (found ??= []).Add(name.Name);
                }
            }
        }

        return found ?? (IReadOnlyList<string>)[];
    }

    private IEnumerable<NetAddress> ClientsOf(BuildStep step)
        => step.Network == StepNetwork.Host ? state.Baseline.OwnAddresses : step.Addresses;
}
