using System.Collections.Immutable;

namespace ImageSentinel.Agent.Options;

/// <summary>Where a value was written, so that every complaint can point at it.</summary>
/// <param name="Source">A file's path, or the environment variable's name.</param>
/// <param name="Line">From 1; 0 where lines mean nothing.</param>
internal readonly record struct ConfigOrigin(string Source, int Line)
{
    public override string ToString() => Line > 0 ? $"{Source}:{Line}" : Source;
}

/// <summary>The configuration before it has types: what the files and the environment said, and where.</summary>
internal abstract record ConfigNode(ConfigOrigin Origin)
{
    /// <summary>What it is, in a reader's words.</summary>
    public abstract string Shape { get; }
}

internal sealed record ConfigScalar(string Text, bool Quoted, ConfigOrigin Origin) : ConfigNode(Origin)
{
    public override string Shape => IsNull ? "nothing" : "a single value";

    /// <summary>YAML's several ways to write nothing; the setting then keeps its default.</summary>
    public bool IsNull => !Quoted && Text is "" or "~" or "null" or "Null" or "NULL";
}

internal sealed record ConfigList(ImmutableArray<ConfigNode> Items, ConfigOrigin Origin) : ConfigNode(Origin)
{
    public override string Shape => "a list";
}

internal sealed record ConfigMap(ImmutableArray<ConfigEntry> Entries, ConfigOrigin Origin) : ConfigNode(Origin)
{
    public override string Shape => "a section (keys and values)";

    public ConfigEntry? Find(string key)
    {
        foreach (ConfigEntry entry in Entries)
        {
            if (entry.Key == key)
            {
                return entry;
            }
        }

        return null;
    }

    /// <summary>Sections merge key by key; everything else, lists included, is replaced by what comes later.</summary>
    public static ConfigMap Merge(ConfigMap earlier, ConfigMap later)
    {
        var merged = new List<ConfigEntry>(earlier.Entries);
        foreach (ConfigEntry entry in later.Entries)
        {
            int at = merged.FindIndex(known => known.Key == entry.Key);
            if (at < 0)
            {
                merged.Add(entry);
            }
            else if (merged[at].Value is ConfigMap into && entry.Value is ConfigMap from)
            {
                merged[at] = entry with { Value = Merge(into, from) };
            }
            else if (entry.Value is not ConfigScalar { IsNull: true })
            {
                merged[at] = entry;
            }
        }

        return new ConfigMap([.. merged], later.Origin);
    }
}

/// <param name="Key">As written.</param>
/// <param name="Value">What it was given.</param>
/// <param name="Origin">The key's place, which is where a person looks first.</param>
internal sealed record ConfigEntry(string Key, ConfigNode Value, ConfigOrigin Origin);

/// <summary>One thing that is wrong with the configuration, with the place, the key and the way out.</summary>
public sealed record ConfigurationError
{
    internal ConfigurationError(ConfigOrigin origin, string message) => (Origin, Message) = (origin, message);

    public string Message { get; }

    /// <summary>"file:line", or an environment variable.</summary>
    public string Place => Origin.ToString();

    internal ConfigOrigin Origin { get; }

    public override string ToString() => $"{Place}: {Message}";
}
