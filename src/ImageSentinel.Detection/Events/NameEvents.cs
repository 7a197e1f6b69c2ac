using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Events;

/// <summary>Where a name for a destination comes from. A name is never looked up by address: that would be a guess.</summary>
public enum NameSource
{
    None = 0,

    /// <summary>A resolver's answer that maps the name to the address.</summary>
    Dns = 1,

    /// <summary>The client's word in its TLS hello; it may say anything.</summary>
    Sni = 2,

    /// <summary>The client's word in an HTTP request.</summary>
    Host = 3,

    /// <summary>What a proxy was asked to reach.</summary>
    Connect = 4,
}

/// <summary>Somebody asked a name server for a name.</summary>
public readonly ref struct NameAsked
{
    public required Stamp At { get; init; }

    public required NetAddress Client { get; init; }

    public required NetAddress Server { get; init; }

    /// <summary>Lower case, no final dot; bytes that no host name holds as <c>\DDD</c>.</summary>
    public required ReadOnlySpan<char> Name { get; init; }

    /// <summary>The record type asked for: 1 A, 16 TXT, 28 AAAA, …</summary>
    public required ushort Type { get; init; }
}

/// <summary>A name server's answer maps a name to an address, directly or through aliases.</summary>
public readonly ref struct NameResolved
{
    public required Stamp At { get; init; }

    public required NetAddress Client { get; init; }

    public required NetAddress Server { get; init; }

    /// <summary>The name that was asked for, or an alias it led to; lower case, no final dot.</summary>
    public required string Name { get; init; }

    public required NetAddress Address { get; init; }

    /// <summary>Seconds.</summary>
    public required uint Ttl { get; init; }

    /// <summary>The answer came from outside to this host or from it to a container; a container cannot have made it up.</summary>
    public required bool FromOutside { get; init; }
}

/// <summary>A client said to a server which name it wants.</summary>
public readonly ref struct ServerNameSeen
{
    public required Stamp At { get; init; }

    public required NetAddress Client { get; init; }

    public required ushort ClientPort { get; init; }

    public required Destination Destination { get; init; }

    public required string Name { get; init; }

    public required NameSource Source { get; init; }

    /// <summary>The hello is encrypted: the name is its provider's front, the real one is not visible.</summary>
    public bool Encrypted { get; init; }
}

/// <summary>A request reached an engine's plain TCP API. Secrets are gone before it comes here.</summary>
public readonly ref struct ApiRequestSeen
{
    public required Stamp At { get; init; }

    public required NetAddress Client { get; init; }

    public required ushort ClientPort { get; init; }

    public required NetAddress Server { get; init; }

    public required ushort ServerPort { get; init; }

    public required string Method { get; init; }

    /// <summary>Path and the parameters that say what is asked for.</summary>
    public required string Target { get; init; }
}
