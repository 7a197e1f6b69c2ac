using System.Diagnostics.CodeAnalysis;
using System.IO.Hashing;

namespace ImageSentinel.Sensors.Fanotify;

/// <summary>What is known about a directory.</summary>
/// <param name="Engine">The data root it lies below; -1 when it lies below none.</param>
/// <param name="Path">Relative to that root; empty for the root itself and for outsiders.</param>
/// <param name="Interest">What of it is forwarded.</param>
internal sealed record DirectoryFact(int Engine, byte[] Path, DirectoryInterest Interest)
{
    public static readonly DirectoryFact Outside = new(-1, [], DirectoryInterest.None);
}

/// <summary>Directory handle → what is known about it. Bounded: the least recently used half is forgotten when full.</summary>
/// <remarks>
/// The key is fsid, handle type and handle, the kernel's own name for a directory that survives renames; inode numbers
/// would be reused. One thread. Two generations instead of a linked list: a look-up of a hot directory allocates
/// nothing and moves nothing.
/// </remarks>
internal sealed class DirectoryCache
{
    private readonly int _generationSize;
    private Dictionary<byte[], DirectoryFact> _young = Make();
    private Dictionary<byte[], DirectoryFact> _old = Make();

    public DirectoryCache(int capacity) => _generationSize = Math.Max(1, capacity / 2);

    public int Count => _young.Count + _old.Count;

    public bool TryGet(ReadOnlySpan<byte> key, [NotNullWhen(true)] out DirectoryFact? fact)
    {
        if (_young.GetAlternateLookup<ReadOnlySpan<byte>>().TryGetValue(key, out fact))
        {
            return true;
        }

        if (_old.GetAlternateLookup<ReadOnlySpan<byte>>().Remove(key, out byte[]? owned, out fact))
        {
            Insert(owned, fact);
            return true;
        }

        return false;
    }

    public void Set(ReadOnlySpan<byte> key, DirectoryFact fact)
    {
        _old.GetAlternateLookup<ReadOnlySpan<byte>>().Remove(key);
        if (_young.GetAlternateLookup<ReadOnlySpan<byte>>().TryGetValue(key, out byte[]? owned, out _))
        {
            _young[owned] = fact;
        }
        else
        {
            Insert(key.ToArray(), fact);
        }
    }

    public void Remove(ReadOnlySpan<byte> key)
    {
        _young.GetAlternateLookup<ReadOnlySpan<byte>>().Remove(key);
        _old.GetAlternateLookup<ReadOnlySpan<byte>>().Remove(key);
    }

    /// <summary>A directory moved, and the paths of all below it with it: forgets them. They are asked for again by handle.</summary>
    public void ForgetBelow(int engine, ReadOnlySpan<byte> path)
    {
        foreach (Dictionary<byte[], DirectoryFact> generation in (ReadOnlySpan<Dictionary<byte[], DirectoryFact>>)[_young, _old])
        {
            // Removing while enumerating is allowed by Dictionary.
            foreach ((byte[] key, DirectoryFact fact) in generation)
            {
                if (fact.Engine == engine
                    && fact.Path.AsSpan().StartsWith(path)
                    && (fact.Path.Length == path.Length || fact.Path[path.Length] == (byte)'/'))
                {
                    generation.Remove(key);
                }
            }
        }
    }

    public void Clear()
    {
        _young.Clear();
        _old.Clear();
    }

    private static Dictionary<byte[], DirectoryFact> Make() => new(HandleComparer.Instance);

    private void Insert(byte[] key, DirectoryFact fact)
    {
        if (_young.Count >= _generationSize)
        {
            (_old, _young) = (_young, _old);
            _young.Clear();
        }

        _young[key] = fact;
    }

    private sealed class HandleComparer : IEqualityComparer<byte[]>, IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>
    {
        public static readonly HandleComparer Instance = new();

        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(byte[] obj) => GetHashCode(obj.AsSpan());

        public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();

        public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => alternate.SequenceEqual(other);

        public int GetHashCode(ReadOnlySpan<byte> alternate) => (int)XxHash3.HashToUInt64(alternate);
    }
}
