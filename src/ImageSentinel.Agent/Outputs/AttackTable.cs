using System.Collections.Frozen;
using ImageSentinel.V1;
using YamlDotNet.RepresentationModel;

namespace ImageSentinel.Agent.Outputs;

/// <summary>ATT&amp;CK techniques with their tactic and release, from the embedded <c>attack.yaml</c>.</summary>
public static class AttackTable
{
    private static readonly Lazy<(string Version, FrozenDictionary<string, Technique> Techniques)> s_table = new(Load);

    public static string Version => s_table.Value.Version;

    public static IEnumerable<string> Ids => s_table.Value.Techniques.Keys;

    /// <summary>A new message each time; an id that the table does not know keeps its id and the release, nothing else.</summary>
    public static Technique Find(string techniqueId)
        => s_table.Value.Techniques.TryGetValue(techniqueId, out Technique? known)
            ? known.Clone()
            : new Technique { TechniqueId = techniqueId, AttackVersion = Version };

    private static (string, FrozenDictionary<string, Technique>) Load()
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

        return (version, techniques.ToFrozenDictionary(StringComparer.Ordinal));
    }

    private static string Text(YamlMappingNode node, string key) => ((YamlScalarNode)node[key]).Value!;
}
