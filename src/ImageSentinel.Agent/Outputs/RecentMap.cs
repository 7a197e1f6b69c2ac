using System.Diagnostics.CodeAnalysis;

namespace ImageSentinel.Agent.Outputs;

/// <summary>A dictionary that holds the last few things and forgets the oldest. Not thread-safe.</summary>
internal sealed class RecentMap<TKey, TValue>(int capacity)
    where TKey : notnull
{
    private readonly Dictionary<TKey, LinkedListNode<(TKey Key, TValue Value)>> _nodes = [];
    private readonly LinkedList<(TKey Key, TValue Value)> _order = new();

    public int Count => _nodes.Count;

    /// <summary>Oldest first.</summary>
    public IEnumerable<TValue> Values => _order.Select(entry => entry.Value);

    public bool TryGet(TKey key, [MaybeNullWhen(false)] out TValue value)
    {
        bool found = _nodes.TryGetValue(key, out LinkedListNode<(TKey Key, TValue Value)>? node);
        value = found ? node!.Value.Value : default;
        return found;
    }

    /// <summary>Keeps the place of what is known; puts what is new at the end.</summary>
    public void Set(TKey key, TValue value)
    {
        if (_nodes.TryGetValue(key, out LinkedListNode<(TKey Key, TValue Value)>? node))
        {
            node.Value = (key, value);
            return;
        }

        _nodes[key] = _order.AddLast((key, value));
        if (_nodes.Count > capacity)
        {
            _nodes.Remove(_order.First!.Value.Key);
            _order.RemoveFirst();
        }
    }
}
