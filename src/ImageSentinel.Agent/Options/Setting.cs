using System.Collections.Immutable;

namespace ImageSentinel.Agent.Options;

/// <summary>One key the configuration knows. One table of these serves reading, <c>config show</c> and <c>config schema</c>.</summary>
internal abstract record Setting(string Key, string Help);

internal abstract record ValueSetting(string Key, string Help, string? DefaultText) : Setting(Key, Help)
{
    public abstract ValueType Kind { get; }
}

/// <param name="DefaultText">As a person would write it; null where absence means something of its own.</param>
internal sealed record ValueSetting<T>(string Key, string Help, ValueType<T> Type, string? DefaultText = null)
    : ValueSetting(Key, Help, DefaultText)
{
    public override ValueType Kind => Type;

    public T? Default
    {
        get
        {
            if (DefaultText is null)
            {
                return default;
            }

            return Type.Parse(DefaultText, out T value, out string problem)
                ? value
                : throw new InvalidOperationException($"the default of {Key} does not parse: {problem}");
        }
    }
}

internal abstract record ListSetting(string Key, string Help) : Setting(Key, Help)
{
    public abstract ValueType ItemKind { get; }
}

internal sealed record ListSetting<T>(string Key, string Help, ValueType<T> Item) : ListSetting(Key, Help)
{
    public override ValueType ItemKind => Item;
}

internal sealed record SectionSetting(string Key, string Help, ImmutableArray<Setting> Members) : Setting(Key, Help);

internal sealed record SectionListSetting(string Key, string Help, ImmutableArray<Setting> Members, string DefaultText)
    : Setting(Key, Help);
