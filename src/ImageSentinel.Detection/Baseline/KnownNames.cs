using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Baseline;

/// <summary>Names that were reached before, each with its port: a known name's new address is a rotation, not news.</summary>
public sealed class KnownNames
{
    private const int Maximum = 100_000;

    private readonly Dictionary<(string Name, ushort Port, EgressProtocol Protocol), uint> _names = [];

    public int Count => _names.Count;

    /// <summary>Set by the edge, which makes what is learned durable. Called on the core's thread.</summary>
    public Action<string, ushort, EgressProtocol, uint>? Learned { get; set; }

    public void Learn(string name, Destination destination, uint seconds)
    {
        if (_names.Count < Maximum && _names.TryAdd((name, destination.Port, destination.Protocol), seconds))
        {
            Learned?.Invoke(name, destination.Port, destination.Protocol, seconds);
        }
    }

    public void Restore(string name, ushort port, EgressProtocol protocol, uint seconds) => _ = _names.TryAdd((name, port, protocol), seconds);

    /// <summary>Takes back names at or below one.</summary>
    public int Forget(Func<string, ushort, EgressProtocol, bool> match)
    {
        List<(string Name, ushort Port, EgressProtocol Protocol)> gone = [.. _names.Keys.Where(n => match(n.Name, n.Port, n.Protocol))];
        foreach ((string Name, ushort Port, EgressProtocol Protocol) key in gone)
        {
            _ = _names.Remove(key);
        }

        return gone.Count;
    }

    public string? Find(IReadOnlyList<string> names, Destination destination)
    {
        foreach (string name in names)
        {
            if (_names.ContainsKey((name, destination.Port, destination.Protocol)))
            {
                return name;
            }
        }

        return null;
    }
}
