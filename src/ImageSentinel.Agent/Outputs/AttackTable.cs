using System.Collections.Frozen;
using ImageSentinel.V1;
using YamlDotNet.RepresentationModel;

namespace ImageSentinel.Agent.Outputs;

/// <summary>ATT&amp;CK techniques with their tactic and release, from the embedded <c>attack.yaml</c>.</summary>
public static class AttackTable
{
    private static readonly Lazy<(string Version, FrozenDictionary<string, Technique> Techniques, FrozenDictionary<string, string> Mitigations)> s_table = new(Load);

    public static string Version => s_table.Value.Version;

    public static IEnumerable<string> Ids => s_table.Value.Techniques.Keys;

    /// <summary>A new message each time; an id that the table does not know keeps its id and the release, nothing else.</summary>
    public static Technique Find(string techniqueId)
        => s_table.Value.Techniques.TryGetValue(techniqueId, out Technique? known)
            ? known.Clone()
            : new Technique { TechniqueId = techniqueId, AttackVersion = Version };

    /// <summary>A new message each time; an unknown id keeps its id and has no name.</summary>
    public static Mitigation Mitigation(string mitigationId)
        => new() { MitigationId = mitigationId, MitigationName = s_table.Value.Mitigations.GetValueOrDefault(mitigationId, "") };

    private static (string, FrozenDictionary<string, Technique>, FrozenDictionary<string, string>) Load()
    {
        using Stream stream = typeof(AttackTable).Assembly.GetManifestResourceStream("attack.yaml")
            ?? throw new InvalidOperationException("attack.yaml is not embedded");
        var yaml = new YamlStream();
        using var reader = new StreamReader(stream);
        yaml.Load(reader);
        var root = (YamlMappingNode)yaml.Documents[0].RootNode;
        string version = Text(root, "attack_version");
        var tactics = (YamlMappingNode)root["tactics"];
        var techniques = new Dictionary<string, Technique>(StringComparer.Ordinal);
        foreach ((YamlNode key, YamlNode value) in ((YamlMappingNode)root["techniques"]).Children)
        {
            var technique = (YamlMappingNode)value;
            string tactic = Text(technique, "tactic");
            string id = ((YamlScalarNode)key).Value!;
            techniques.Add(id, new Technique
            {
                TechniqueId = id,
                TechniqueName = Text(technique, "name"),
                TacticId = tactic,
                TacticName = Text(tactics, tactic),
                AttackVersion = version,
            });
        }

        var mitigations = ((YamlMappingNode)root["mitigations"]).Children
            .ToFrozenDictionary(static p => ((YamlScalarNode)p.Key).Value!, static p => ((YamlScalarNode)p.Value).Value!, StringComparer.Ordinal);
        return (version, techniques.ToFrozenDictionary(StringComparer.Ordinal), mitigations);
    }

    private static string Text(YamlMappingNode node, string key) => ((YamlScalarNode)node[key]).Value!;
}
