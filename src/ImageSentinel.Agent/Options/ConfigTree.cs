using System.Collections.Immutable;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace ImageSentinel.Agent.Options;

/// <summary>Turns YAML text and environment variables into <see cref="ConfigNode"/>s. Knows no setting by name.</summary>
internal static class ConfigTree
{
    public const string EnvironmentPrefix = "IMAGESENTINEL__";

    // A file is read by a privileged process at start and on SIGHUP; these keep an alias bomb or a device file out.
    private const int MaximumBytes = 1 << 20;
    private const int MaximumNodes = 100_000;
    private const int MaximumDepth = 32;

    /// <summary>An empty map when the file is empty; null, with an error added, when it cannot be used at all.</summary>
    public static ConfigMap? ReadFile(string path, List<ConfigurationError> errors)
    {
        string text;
        try
        {
            var file = new FileInfo(path);
            if (file.Exists && file.Length > MaximumBytes)
            {
                errors.Add(new(new(path, 0), $"larger than {MaximumBytes / 1024} KiB; that is not a configuration file"));
                return null;
            }

            text = File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            errors.Add(new(new(path, 0), $"cannot be read: {Reason(e)}"));
            return null;
        }

        return Parse(path, text, errors);
    }

    public static ConfigMap? Parse(string source, string text, List<ConfigurationError> errors)
    {
        try
        {
            var stream = new YamlStream();
            stream.Load(new StringReader(text));
            if (stream.Documents.Count == 0)
            {
                return new ConfigMap([], new(source, 1));
            }

            if (stream.Documents.Count > 1)
            {
                errors.Add(new(At(source, stream.Documents[1].RootNode), "a second YAML document (after \"---\"); keep one per file"));
                return null;
            }

            int nodes = 0;
            ConfigNode root = Convert(source, stream.Documents[0].RootNode, 0, ref nodes);
            switch (root)
            {
                case ConfigMap map:
                    return map;
                case ConfigScalar { IsNull: true }:
                    return new ConfigMap([], root.Origin);
                default:
                    errors.Add(new(root.Origin, $"holds {root.Shape} where keys and values are expected, such as \"state_dir: /var/lib/imagesentinel\""));
                    return null;
            }
        }
        catch (YamlException e)
        {
            if (TabLine(text) is { } tabbed)
            {
                // The parser names the block around it, which may be the whole file.
                errors.Add(new(new(source, tabbed), "not valid YAML: a tab as indentation; use spaces"));
                return null;
            }

            // The end is where the scanner stopped, the start often only where the surrounding block began.
            Mark at = e.End.Line > e.Start.Line ? e.End : e.Start;
            int line = (int)Math.Clamp(at.Line, 1, int.MaxValue);
            errors.Add(new(new(source, line), $"not valid YAML at column {at.Column}: {OneLine(e.Message)}"));
            return null;
        }
    }

    /// <summary>
    /// <c>IMAGESENTINEL__SECTION__KEY=value</c>. A value that opens with <c>[</c> or <c>{</c> is read as YAML, so lists fit
    /// into one variable; everything else is taken as it is.
    /// </summary>
    public static ConfigMap FromEnvironment(IReadOnlyDictionary<string, string> environment, List<ConfigurationError> errors)
    {
        var all = new ConfigMap([], new("environment", 0));
        foreach ((string name, string value) in environment.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            if (!name.StartsWith(EnvironmentPrefix, StringComparison.Ordinal))
            {
                continue;
            }

            var origin = new ConfigOrigin(name, 0);
            ConfigNode? node = EnvironmentValue(origin, value, errors);
            if (node is null)
            {
                continue;
            }

            string[] keys = name[EnvironmentPrefix.Length..].ToLowerInvariant().Split("__");
            for (int i = keys.Length - 1; i >= 0; i--)
            {
                node = new ConfigMap([new ConfigEntry(keys[i], node, origin)], origin);
            }

            all = ConfigMap.Merge(all, (ConfigMap)node);
        }

        return all;
    }

    private static int? TabLine(string text)
    {
        int number = 0;
        foreach (ReadOnlySpan<char> line in text.AsSpan().EnumerateLines())
        {
            number++;
            if (line.TrimStart(' ') is ['\t', ..])
            {
                return number;
            }
        }

        return null;
    }

    internal static string Reason(Exception e) => e switch
    {
        FileNotFoundException or DirectoryNotFoundException => "there is no such file",
        UnauthorizedAccessException => "permission denied",
        _ => OneLine(e.Message),
    };

    private static ConfigNode? EnvironmentValue(ConfigOrigin origin, string value, List<ConfigurationError> errors)
    {
        if (value.TrimStart() is not ['[' or '{', ..])
        {
            // Set to nothing means nothing, and that is a value of its own for the settings that may be empty.
            return new ConfigScalar(value, Quoted: true, origin);
        }

        try
        {
            var stream = new YamlStream();
            stream.Load(new StringReader(value));
            int nodes = 0;
            ConfigNode node = Convert(origin.Source, stream.Documents[0].RootNode, 0, ref nodes);
            return WithOrigin(node, origin);
        }
        catch (YamlException e)
        {
            errors.Add(new(origin, $"not valid YAML: {OneLine(e.Message)}"));
            return null;
        }
    }

    private static ConfigNode WithOrigin(ConfigNode node, ConfigOrigin origin) => node switch
    {
        ConfigMap map => new ConfigMap([.. map.Entries.Select(e => new ConfigEntry(e.Key, WithOrigin(e.Value, origin), origin))], origin),
        ConfigList list => new ConfigList([.. list.Items.Select(item => WithOrigin(item, origin))], origin),
        _ => node with { Origin = origin },
    };

    private static ConfigNode Convert(string source, YamlNode node, int depth, ref int nodes)
    {
        // Aliases make the representation a graph; walked as a tree, a few lines can become millions of nodes.
        if (depth > MaximumDepth || ++nodes > MaximumNodes)
        {
            throw new YamlException(node.Start, node.End, "nested too deeply or expanded by aliases beyond reason");
        }

        ConfigOrigin origin = At(source, node);
        switch (node)
        {
            case YamlScalarNode scalar:
                return new ConfigScalar(scalar.Value ?? "", scalar.Style is not (ScalarStyle.Plain or ScalarStyle.Any), origin);

            case YamlSequenceNode sequence:
                var items = ImmutableArray.CreateBuilder<ConfigNode>(sequence.Children.Count);
                foreach (YamlNode child in sequence.Children)
                {
                    items.Add(Convert(source, child, depth + 1, ref nodes));
                }

                return new ConfigList(items.MoveToImmutable(), origin);

            case YamlMappingNode mapping:
                var entries = ImmutableArray.CreateBuilder<ConfigEntry>(mapping.Children.Count);
                foreach ((YamlNode key, YamlNode value) in mapping.Children)
                {
                    if (key is not YamlScalarNode name)
                    {
                        throw new YamlException(key.Start, key.End, "a key must be a plain word");
                    }

                    entries.Add(new ConfigEntry(name.Value ?? "", Convert(source, value, depth + 1, ref nodes), At(source, key)));
                }

                return new ConfigMap(entries.MoveToImmutable(), origin);

            default:
                throw new YamlException(node.Start, node.End, "an alias that points nowhere");
        }
    }

    private static ConfigOrigin At(string source, YamlNode node) => new(source, (int)Math.Min(node.Start.Line, int.MaxValue));

    private static string OneLine(string message) => string.Join(' ', message.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
}
