using System.Buffers.Binary;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Indicators;

/// <summary>What an indicator names.</summary>
public enum IndicatorKind
{
    None = 0,
    Address = 1,
    Name = 2,
    Hash = 3,
    ImageReference = 4,
}

/// <summary>An indicator that something on this host matched.</summary>
/// <param name="Value">The indicator in its canonical spelling: <c>203.0.113.0/24</c>, <c>*.evil.example</c>, 64 hex digits.</param>
/// <param name="Source">The file it came from, as the configuration names it.</param>
public sealed record IndicatorMatch(IndicatorKind Kind, string Value, string Source);

/// <summary>Everything on the operator's feeds, ready to be asked. Immutable; a reload makes a new one.</summary>
/// <remarks>Each question is a handful of hash look-ups whatever the size: one per prefix length in use for an address,
/// one per label for a name.</remarks>
public sealed class IndicatorSet
{
    private const string DigestPrefix = "sha256:";

    private readonly Dictionary<NetAddress, byte> _addresses;
    private readonly (int Length, Dictionary<NetAddress, byte> Networks, AddressSieve Sieve)[] _networks;
    private readonly Dictionary<string, NameEntry> _names;
    private readonly Dictionary<string, NameEntry>.AlternateLookup<ReadOnlySpan<char>> _nameLookup;
    private readonly Dictionary<Sha256Value, byte> _hashes;
    private readonly Dictionary<string, byte> _references;
    private readonly string[] _sources;

    internal IndicatorSet(
        Dictionary<NetAddress, byte> addresses,
        SortedDictionary<int, Dictionary<NetAddress, byte>> networks,
        Dictionary<string, NameEntry> names,
        Dictionary<Sha256Value, byte> hashes,
        Dictionary<string, byte> references,
        string[] sources)
    {
        _addresses = addresses;
        _networks = [.. networks.Reverse().Select(static n => (n.Key, n.Value, new AddressSieve(n.Value.Keys)))];
        _names = names;
        _nameLookup = names.GetAlternateLookup<ReadOnlySpan<char>>();
        _hashes = hashes;
        _references = references;
        _sources = sources;
    }

    public static IndicatorSet Empty { get; } = new IndicatorSetBuilder().Build();

    public int Count => _addresses.Count + _networks.Sum(static n => n.Networks.Count) + _names.Count + _hashes.Count + _references.Count;

    /// <summary>True when there is nothing to match, so that callers may spare themselves the question.</summary>
    public bool IsEmpty => _addresses.Count == 0 && _networks.Length == 0 && _names.Count == 0 && _hashes.Count == 0 && _references.Count == 0;

    /// <summary>Exact address first, then the narrowest listed network that holds it.</summary>
    public IndicatorMatch? FindAddress(NetAddress address)
    {
        if (_addresses.TryGetValue(address, out byte source))
        {
            return new IndicatorMatch(IndicatorKind.Address, address.ToString(), _sources[source]);
        }

        UInt128 bits = address.ToUInt128();
        foreach ((int length, Dictionary<NetAddress, byte> networks, AddressSieve sieve) in _networks)
        {
            NetAddress network = IndicatorSetBuilder.Mask(bits, length);
            if (sieve.MayHold(network) && networks.TryGetValue(network, out source))
            {
                int shown = network.IsIPv4 && length >= 96 ? length - 96 : length;
                return new IndicatorMatch(IndicatorKind.Address, $"{network}/{shown}", _sources[source]);
            }
        }

        return null;
    }

    /// <summary>A listed name matches itself and everything below it; <c>*.name</c> only what is below.</summary>
    /// <param name="name">Lower case, without a final dot; as <c>NameResolved</c> carries it.</param>
    public IndicatorMatch? FindName(ReadOnlySpan<char> name)
    {
        if (_names.Count == 0)
        {
            return null;
        }

        bool whole = true;
        for (ReadOnlySpan<char> rest = name; !rest.IsEmpty; whole = false)
        {
            if (_nameLookup.TryGetValue(rest, out NameEntry entry) && (!whole || entry.Itself))
            {
                return new IndicatorMatch(IndicatorKind.Name, entry.Itself ? rest.ToString() : $"*.{rest}", _sources[entry.Source]);
            }

            int dot = rest.IndexOf('.');
            rest = dot < 0 ? [] : rest[(dot + 1)..];
        }

        return null;
    }

    /// <summary>A file's or an image's SHA-256, with or without <c>sha256:</c> in front. Null for anything else too.</summary>
    public IndicatorMatch? FindHash(ReadOnlySpan<char> sha256)
    {
        ReadOnlySpan<char> hex = sha256.StartsWith(DigestPrefix, StringComparison.Ordinal) ? sha256[DigestPrefix.Length..] : sha256;
        return _hashes.Count > 0 && Sha256Value.TryParse(hex, out Sha256Value value) && _hashes.TryGetValue(value, out byte source)
            ? new IndicatorMatch(IndicatorKind.Hash, value.ToString(), _sources[source])
            : null;
    }

    /// <summary>An image as somebody named it: <c>name</c>, <c>name:tag</c>, <c>name@sha256:…</c> or <c>sha256:…</c>. A
    /// listed reference without a tag matches every tag.</summary>
    public IndicatorMatch? FindImage(string reference)
    {
        ArgumentNullException.ThrowIfNull(reference);
        int at = reference.IndexOf('@', StringComparison.Ordinal);
        if (FindHash(at >= 0 ? reference.AsSpan(at + 1) : reference) is { } digest)
        {
            return digest;
        }

        if (_references.Count == 0)
        {
            return null;
        }

        string tagged = IndicatorSetBuilder.Canonical(at >= 0 ? reference[..at] : reference, out string untagged);
        string? found = _references.ContainsKey(tagged) ? tagged : _references.ContainsKey(untagged) ? untagged : null;
        return found is null ? null : new IndicatorMatch(IndicatorKind.ImageReference, found, _sources[_references[found]]);
    }
}

/// <param name="Itself">False when only names below it are meant.</param>
internal readonly record struct NameEntry(bool Itself, byte Source);

/// <summary>A SHA-256 as four numbers: a quarter of its text, and no object of its own.</summary>
internal readonly record struct Sha256Value(ulong A, ulong B, ulong C, ulong D)
{
    public static bool TryParse(ReadOnlySpan<char> hex, out Sha256Value value)
    {
        value = default;
        Span<byte> bytes = stackalloc byte[32];
        if (hex.Length != 64 || Convert.FromHexString(hex, bytes, out _, out int written) != System.Buffers.OperationStatus.Done || written != 32)
        {
            return false;
        }

        value = new Sha256Value(
            BinaryPrimitives.ReadUInt64BigEndian(bytes),
            BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]),
            BinaryPrimitives.ReadUInt64BigEndian(bytes[16..]),
            BinaryPrimitives.ReadUInt64BigEndian(bytes[24..]));
        return true;
    }

    // Already a hash: any part of it spreads well.
    public override int GetHashCode() => (int)A;

    public override string ToString() => $"{A:x16}{B:x16}{C:x16}{D:x16}";
}

/// <summary>Says of most addresses that they are not in a set, from a few bits that stay in the processor's cache.</summary>
/// <remarks>An address is held against every prefix length in use, and in nearly all of them in vain.</remarks>
internal sealed class AddressSieve
{
    private readonly ulong[] _bits;
    private readonly int _shift;

    public AddressSieve(IReadOnlyCollection<NetAddress> addresses)
    {
        // Sixteen bits for each: one in sixteen of the others passes.
        int words = (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(4, addresses.Count / 4));
        _bits = new ulong[words];
        _shift = 64 - System.Numerics.BitOperations.Log2((uint)words) - 6;
        foreach (NetAddress address in addresses)
        {
            ulong at = Place(address);
            _bits[at >> 6] |= 1ul << (int)(at & 63);
        }
    }

    public bool MayHold(NetAddress address)
    {
        ulong at = Place(address);
        return (_bits[at >> 6] & (1ul << (int)(at & 63))) != 0;
    }

    private ulong Place(NetAddress address)
    {
        ulong hash = (address.High * 0x9E37_79B9_7F4A_7C15) ^ address.Low;
        hash = (hash ^ (hash >> 32)) * 0xD6E8_FEB8_6659_FD93;
        return (hash ^ (hash >> 29)) * 0x9E37_79B9_7F4A_7C15 >> _shift;
    }
}
