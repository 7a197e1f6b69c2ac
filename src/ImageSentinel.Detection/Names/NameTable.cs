using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Names;

/// <summary>A name that stood for an address when a client was told so.</summary>
/// <param name="Trusted">The answer came from a name server this host or its engine is configured with, by a way on which
/// no container can have put it.</param>
internal readonly record struct ResolvedName(string Name, Stamp At, bool Trusted);

/// <summary>What names clients were told for which addresses. Bounded; the oldest answers go first.</summary>
internal sealed class NameTable
{
    /// <summary>A program may hold on to an answer for longer than its time to live says.</summary>
    private const long Memory = 30 * 60 * Stamp.Second;

    private const int MaximumKeys = 16_384;
    private const int NamesPerKey = 6;

    private readonly Dictionary<(NetAddress Client, NetAddress Address), List<ResolvedName>> _names = [];
    private readonly Queue<(NetAddress Client, NetAddress Address)> _order = new();

    public int Count => _names.Count;

    public void Add(NetAddress client, NetAddress address, ResolvedName name)
    {
        if (!_names.TryGetValue((client, address), out List<ResolvedName>? names))
        {
            if (_names.Count >= MaximumKeys)
            {
                _ = _names.Remove(_order.Dequeue());
            }

            _names[(client, address)] = names = new List<ResolvedName>(1);
            _order.Enqueue((client, address));
        }

        int same = names.FindIndex(n => n.Name == name.Name);
        if (same >= 0)
        {
            names[same] = name with { Trusted = name.Trusted || names[same].Trusted };
            return;
        }

        if (names.Count == NamesPerKey)
        {
            names.RemoveAt(0);
        }

        names.Add(name);
    }

    /// <summary>What the client was told for the address, not before <paramref name="since"/>.</summary>
    public IEnumerable<ResolvedName> Find(NetAddress client, NetAddress address, Stamp since, Stamp at)
        => _names.TryGetValue((client, address), out List<ResolvedName>? names)
            ? names.Where(n => n.At.Boot >= since.Boot && at.Since(n.At) < Memory)
            : [];
}
