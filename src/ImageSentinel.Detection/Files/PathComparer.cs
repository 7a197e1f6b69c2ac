namespace ImageSentinel.Detection.Files;

/// <summary>Compares paths as the bytes they are.</summary>
internal sealed class PathComparer : IEqualityComparer<byte[]>, IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>
{
    public static readonly PathComparer Instance = new();

    public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

    public int GetHashCode(byte[] obj) => GetHashCode(obj.AsSpan());

    public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();

    public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => alternate.SequenceEqual(other);

    public int GetHashCode(ReadOnlySpan<byte> alternate)
    {
        ulong hash = Hash(alternate);
        return (int)(hash ^ (hash >> 32));
    }

    /// <summary>FNV-1a: the same in every run, unlike the runtime's own, so that a replay counts what the live agent counted.</summary>
    public static ulong Hash(ReadOnlySpan<byte> path)
    {
        ulong hash = 14695981039346656037;
        foreach (byte b in path)
        {
            hash = (hash ^ b) * 1099511628211;
        }

        return hash;
    }
}
