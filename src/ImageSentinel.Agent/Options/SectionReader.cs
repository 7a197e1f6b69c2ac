using System.Collections.Immutable;

namespace ImageSentinel.Agent.Options;

/// <summary>
/// Reads one section against its part of the schema. Never throws and never stops at the first mistake: a value that
/// does not read adds an error and gives its default, so that one run names everything that is wrong.
/// </summary>
internal sealed class SectionReader
{
    private readonly ConfigMap _map;
    private readonly string _path;
    private readonly List<ConfigurationError> _errors;

    public SectionReader(ConfigMap map, string path, ImmutableArray<Setting> members, List<ConfigurationError> errors)
    {
        (_map, _path, _errors) = (map, path, errors);
        foreach (ConfigEntry entry in map.Entries)
        {
            if (!members.Any(member => member.Key == entry.Key))
            {
                errors.Add(new(entry.Origin, $"unknown key \"{Qualify(entry.Key)}\"{Hint(entry.Key, members)}"));
            }
        }
    }

    public T? Get<T>(ValueSetting<T> setting)
        => TryGet(setting, out T? value) ? value : setting.Default;

    /// <summary>Null when the key is absent, for settings whose absence means something.</summary>
    public T? GetOptional<T>(ValueSetting<T> setting)
        where T : struct
        => TryGet(setting, out T value) ? value : null;

    public string? GetOptional(ValueSetting<string> setting) => TryGet(setting, out string? value) ? value : null;

    public ImmutableArray<T> GetList<T>(ListSetting<T> setting)
    {
        if (Items(setting) is not { } list)
        {
            return [];
        }

        var values = ImmutableArray.CreateBuilder<T>();
        foreach (ConfigNode item in list.Items)
        {
            if (TryParse(setting.Item, item, Qualify(setting.Key), out T? value))
            {
                values.Add(value);
            }
        }

        return values.ToImmutable();
    }

    /// <summary>Null when the key is absent.</summary>
    public ImmutableArray<T>? GetSections<T>(SectionListSetting setting, Func<SectionReader, T?> bind)
        where T : class
    {
        if (Items(setting) is not { } list)
        {
            return null;
        }

        var values = ImmutableArray.CreateBuilder<T>();
        for (int i = 0; i < list.Items.Length; i++)
        {
            string path = $"{Qualify(setting.Key)}[{i}]";
            if (list.Items[i] is not ConfigMap map)
            {
                Complain(list.Items[i].Origin, path, $"holds {list.Items[i].Shape} where a section is expected: {{{string.Join(", ", setting.Members.Select(m => m.Key + ": …"))}}}");
            }
            else if (bind(new SectionReader(map, path, setting.Members, _errors)) is { } value)
            {
                values.Add(value);
            }
        }

        return values.ToImmutable();
    }

    public SectionReader Section(SectionSetting setting)
    {
        ConfigMap empty = new([], _map.Origin);
        ConfigMap map = empty;
        switch (_map.Find(setting.Key)?.Value)
        {
            case null or ConfigScalar { IsNull: true }:
                break;
            case ConfigMap written:
                map = written;
                break;
            case { } other:
                Complain(other.Origin, Qualify(setting.Key), $"holds {other.Shape} where a section is expected, with {string.Join(", ", setting.Members.Select(m => m.Key))} below it");
                break;
        }

        return new SectionReader(map, Qualify(setting.Key), setting.Members, _errors);
    }

    /// <summary>True when the key is written, well or badly.</summary>
    public bool Has(Setting setting) => _map.Find(setting.Key) is { Value: not ConfigScalar { IsNull: true } };

    /// <summary>True when the key is written as a list without an entry.</summary>
    public bool IsEmptyList(Setting setting) => _map.Find(setting.Key)?.Value is ConfigList { Items: [] };

    /// <summary>Adds an error at the key, or at the section when the key is absent.</summary>
    public void Complain(Setting setting, string message)
        => Complain(_map.Find(setting.Key)?.Value.Origin ?? _map.Origin, Qualify(setting.Key), message);

    private void Complain(ConfigOrigin origin, string path, string message) => _errors.Add(new(origin, $"{path}: {message}"));

    private string Qualify(string key) => _path.Length == 0 ? key : $"{_path}.{key}";

    private ConfigList? Items(Setting setting)
    {
        switch (_map.Find(setting.Key)?.Value)
        {
            case null or ConfigScalar { IsNull: true }:
                return null;
            case ConfigList list:
                return list;
            case { } other:
                Complain(other.Origin, Qualify(setting.Key), $"holds {other.Shape} where a list is expected; write [one, two] or one \"- …\" per line");
                return null;
        }
    }

    private bool TryGet<T>(ValueSetting<T> setting, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out T? value)
    {
        value = default;
        return _map.Find(setting.Key) is { Value: not ConfigScalar { IsNull: true } } entry
            && TryParse(setting.Type, entry.Value, Qualify(setting.Key), out value)
            && value is not null;
    }

    private bool TryParse<T>(ValueType<T> type, ConfigNode node, string path, [System.Diagnostics.CodeAnalysis.MaybeNullWhen(false)] out T value)
    {
        value = default;
        if (node is not ConfigScalar scalar)
        {
            Complain(node.Origin, path, $"holds {node.Shape} where {type.Word} is expected");
            return false;
        }

        if (type.Parse(scalar.Text, out value, out string problem))
        {
            return true;
        }

        Complain(scalar.Origin, path, problem);
        return false;
    }

    private string Hint(string key, ImmutableArray<Setting> members)
    {
        if (DidYouMean.Closest(key, members.Select(member => member.Key)) is { } near)
        {
            return $"; did you mean \"{Qualify(near)}\"?";
        }

        // Right word, wrong level: the commonest slip of indentation.
        if (Elsewhere(key, AgentSchema.Root, "") is { } path)
        {
            return $"; did you mean \"{path}\"?";
        }

        return $"; known here: {string.Join(", ", members.Select(member => member.Key))}";
    }

    private static string? Elsewhere(string key, SectionSetting section, string path)
    {
        foreach (Setting member in section.Members)
        {
            string name = path.Length == 0 ? member.Key : $"{path}.{member.Key}";
            if (member.Key == key)
            {
                return name;
            }

            if (member is SectionSetting below && Elsewhere(key, below, name) is { } found)
            {
                return found;
            }
        }

        return null;
    }
}
