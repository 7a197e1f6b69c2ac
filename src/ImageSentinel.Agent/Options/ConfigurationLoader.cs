using System.Collections;
using System.Collections.Immutable;

namespace ImageSentinel.Agent.Options;

/// <summary>What reading the configuration came to: options, or everything that is wrong with it.</summary>
/// <param name="Options">Null exactly when there are errors.</param>
/// <param name="Errors">All of them, in the order of the files.</param>
/// <param name="Sources">Files read, in the order in which later ones win.</param>
public sealed record ConfigurationResult(
    AgentOptions? Options, ImmutableArray<ConfigurationError> Errors, ImmutableArray<string> Sources)
{
    internal ConfigMap Tree { get; init; } = new([], default);
}

/// <summary>
/// Reads the main file, then <c>conf.d/*.yaml</c> beside it in ordinal order, then <c>IMAGESENTINEL__…</c>; later wins,
/// lists are replaced.
/// </summary>
public static class ConfigurationLoader
{
    public const string DefaultPath = "/etc/imagesentinel/imagesentinel.yaml";

    /// <summary>What holds where nothing is written.</summary>
    public static AgentOptions Defaults { get; } = AgentOptionsBinder.Bind(new ConfigMap([], default), []);

    /// <param name="path">From <c>--config</c>: then it must exist. Null: the default path, which may be absent.</param>
    /// <param name="environment">Null: this process's environment.</param>
    public static ConfigurationResult Load(string? path = null, IReadOnlyDictionary<string, string>? environment = null)
    {
        string main = path ?? DefaultPath;
        var errors = new List<ConfigurationError>();
        var sources = ImmutableArray.CreateBuilder<string>();
        var tree = new ConfigMap([], new(main, 0));

        foreach (string file in Files(main, required: path is not null))
        {
            sources.Add(file);
            if (ConfigTree.ReadFile(file, errors) is { } map)
            {
                tree = ConfigMap.Merge(tree, map);
            }
        }

        tree = ConfigMap.Merge(tree, ConfigTree.FromEnvironment(environment ?? ProcessEnvironment(), errors));
        AgentOptions options = AgentOptionsBinder.Bind(tree, errors);
        return new ConfigurationResult(errors.Count == 0 ? options : null, [.. errors], sources.ToImmutable()) { Tree = tree };
    }

    /// <summary>Text as one file, nothing else; for checks of a document at hand.</summary>
    internal static ConfigurationResult Parse(string source, string text, IReadOnlyDictionary<string, string>? environment = null)
    {
        var errors = new List<ConfigurationError>();
        ConfigMap tree = ConfigTree.Parse(source, text, errors) ?? new ConfigMap([], new(source, 0));
        tree = ConfigMap.Merge(tree, ConfigTree.FromEnvironment(environment ?? ImmutableDictionary<string, string>.Empty, errors));
        AgentOptions options = AgentOptionsBinder.Bind(tree, errors);
        return new ConfigurationResult(errors.Count == 0 ? options : null, [.. errors], [source]) { Tree = tree };
    }

    private static IEnumerable<string> Files(string main, bool required)
    {
        if (required || File.Exists(main))
        {
            yield return main;
        }

        string drop = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(main)) ?? "/", "conf.d");
        if (!Directory.Exists(drop))
        {
            yield break;
        }

        foreach (string file in Directory.EnumerateFiles(drop, "*.yaml").Order(StringComparer.Ordinal))
        {
            yield return file;
        }
    }

    private static Dictionary<string, string> ProcessEnvironment()
    {
        var all = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (DictionaryEntry entry in Environment.GetEnvironmentVariables())
        {
            if (entry is { Key: string name, Value: string value })
            {
                all[name] = value;
            }
        }

        return all;
    }
}
