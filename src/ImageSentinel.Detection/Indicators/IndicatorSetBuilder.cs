using System.Globalization;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Indicators;

/// <summary>Collects indicators from several files into one set.</summary>
public sealed class IndicatorSetBuilder
{
    /// <summary>A network wider than this would call half the internet malicious: a slip in a feed, not an indicator.</summary>
    private const int WidestIPv4 = 8;

    private const int WidestIPv6 = 16;
    private const int MaximumSources = byte.MaxValue;

    private readonly Dictionary<NetAddress, byte> _addresses = [];
    private readonly SortedDictionary<int, Dictionary<NetAddress, byte>> _networks = [];
    private readonly Dictionary<string, NameEntry> _names = new(StringComparer.Ordinal);
    private readonly Dictionary<Sha256Value, byte> _hashes = [];
    private readonly Dictionary<string, byte> _references = new(StringComparer.Ordinal);
    private readonly List<string> _sources = [];

    /// <summary>Names the file that what is added from now on came from.</summary>
    public void From(string source)
    {
        if (_sources.Count < MaximumSources)
        {
            _sources.Add(source);
        }
    }

    public IndicatorSet Build() => new(_addresses, _networks, _names, _hashes, _references, [.. _sources, ""]);

    private byte Source => (byte)Math.Max(0, _sources.Count - 1);

    /// <summary>Takes an address, network, name, hash, digest or image reference, told apart by its shape.</summary>
    /// <param name="text">One indicator, no blanks.</param>
    /// <param name="problem">Why it was refused, in a few words.</param>
    public bool TryAdd(ReadOnlySpan<char> text, out string problem)
    {
        problem = "";
        if (TryAddAddress(text, out problem))
        {
            return true;
        }

        if (problem.Length > 0)
        {
            return false;
        }

        int at = text.IndexOf('@');
        if (TryAddHash(at >= 0 ? text[(at + 1)..] : text) || (at < 0 && TryAddName(text)) || (at < 0 && TryAddReference(text)))
        {
            return true;
        }

        problem = "is no address, network, name, SHA-256, image digest or image reference";
        return false;
    }

    /// <returns>False with an empty problem when it does not look like an address at all.</returns>
    internal bool TryAddAddress(ReadOnlySpan<char> text, out string problem)
    {
        problem = "";
        int slash = text.IndexOf('/');
        ReadOnlySpan<char> host = slash < 0 ? text : text[..slash];

        // What IPAddress takes for one, such as "1" or "0x7f.1", is more likely a slip.
        bool four = host.Count('.') == 3 && host.IndexOfAnyExceptInRange('.', '9') < 0;
        if ((!four && host.IndexOf(':') < 0) || !NetAddress.TryParse(host, out NetAddress address))
        {
            return false;
        }

        int offset = address.IsIPv4 ? 96 : 0;
        int length = 128 - offset;
        if (slash >= 0 && (!int.TryParse(text[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out length) || length > 128 - offset))
        {
            problem = "has no valid prefix length";
            return false;
        }

        if (length < (address.IsIPv4 ? WidestIPv4 : WidestIPv6))
        {
            problem = "is a network too wide to be an indicator";
            return false;
        }

        if (length + offset == 128)
        {
            _ = _addresses.TryAdd(address, Source);
            return true;
        }

        if (!_networks.TryGetValue(length + offset, out Dictionary<NetAddress, byte>? networks))
        {
            _networks[length + offset] = networks = [];
        }

        _ = networks.TryAdd(Mask(address.ToUInt128(), length + offset), Source);
        return true;
    }

    internal bool TryAddHash(ReadOnlySpan<char> text)
    {
        ReadOnlySpan<char> hex = text.StartsWith("sha256:", StringComparison.OrdinalIgnoreCase) ? text["sha256:".Length..] : text;
        return Sha256Value.TryParse(hex, out Sha256Value value) && (_hashes.TryAdd(value, Source) || true);
    }

    internal bool TryAddName(ReadOnlySpan<char> text)
    {
        bool below = text.StartsWith("*.") || text.StartsWith(".");
        ReadOnlySpan<char> name = (text.StartsWith("*.") ? text[2..] : text.StartsWith(".") ? text[1..] : text).TrimEnd('.');
        if (!IsName(name))
        {
            return false;
        }

        string key = name.ToString().ToLowerInvariant();
        if (!_names.TryGetValue(key, out NameEntry before) || (!below && !before.Itself))
        {
            _names[key] = new NameEntry(!below, Source);
        }

        return true;
    }

    internal static NetAddress Mask(UInt128 bits, int length)
    {
        UInt128 masked = length == 0 ? 0 : bits & ~((UInt128.One << (128 - length)) - 1);
        return new NetAddress((ulong)(masked >> 64), (ulong)masked);
    }

    /// <summary><c>alpine</c> → <c>docker.io/library/alpine:latest</c>, as the engine itself would read it.</summary>
    internal static string Canonical(string reference, out string untagged)
    {
        int slash = reference.IndexOf('/', StringComparison.Ordinal);
        string first = slash < 0 ? "" : reference[..slash];
        bool hasRegistry = first.Contains('.', StringComparison.Ordinal) || first.Contains(':', StringComparison.Ordinal) || first == "localhost";
        string full = hasRegistry ? reference : slash < 0 ? $"docker.io/library/{reference}" : $"docker.io/{reference}";
        int colon = full.LastIndexOf(':');
        bool tagged = colon > full.LastIndexOf('/');
        untagged = tagged ? full[..colon] : full;
        return tagged ? full : full + ":latest";
    }

    // A listed reference with a tag is kept with it; without one it stands for every tag.
    private bool TryAddReference(ReadOnlySpan<char> text)
    {
        if (text.IndexOf('/') <= 0 || text.Contains("://", StringComparison.Ordinal) || text.EndsWith("/"))
        {
            return false;
        }

        foreach (char c in text)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('.' or '-' or '_' or '/' or ':'))
            {
                return false;
            }
        }

        string tagged = Canonical(text.ToString(), out string untagged);
        bool hasTag = text.LastIndexOf(':') > text.LastIndexOf('/');
        _ = _references.TryAdd(hasTag ? tagged : untagged, Source);
        return true;
    }

    private static bool IsName(ReadOnlySpan<char> name)
    {
        if (name.Length is 0 or > 253 || !name.Contains('.'))
        {
            return false;
        }

        int label = 0;
        foreach (char c in name)
        {
            label = c == '.' ? (label == 0 ? 64 : 0) : label + 1;
            if (label > 63 || !(char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.'))
            {
                return false;
            }
        }

        // The last label of a public name is never a number; "1.2.3" is a version, not a name.
        return label > 0 && name[(name.LastIndexOf('.') + 1)..].IndexOfAnyExceptInRange('0', '9') >= 0;
    }
}
