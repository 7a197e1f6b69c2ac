using System.Buffers;
using System.Text;
using System.Text.Json;

namespace ImageSentinel.Agent.Options;

/// <summary>The merged configuration as YAML, each value with where it came from: <c>config show</c>.</summary>
internal static class ConfigurationText
{
    private static readonly SearchValues<char> PlainCharacters =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:+");

    public static string Show(ConfigMap tree)
    {
        var text = new StringBuilder();
        WriteSection(text, AgentSchema.Root, tree, indent: 0);
        return text.ToString();
    }

    private static void WriteSection(StringBuilder text, SectionSetting section, ConfigMap? written, int indent)
    {
        foreach (Setting member in section.Members)
        {
            ConfigNode? node = written?.Find(member.Key)?.Value;
            node = node is ConfigScalar { IsNull: true } ? null : node;
            switch (member)
            {
                case SectionSetting below:
                    Line(text, indent, $"{below.Key}:", null);
                    WriteSection(text, below, node as ConfigMap, indent + 2);
                    break;
                case ValueSetting value:
                    Line(text, indent, node is null ? $"{value.Key}: {Quote(value.DefaultText ?? "")}" : $"{value.Key}: {Flow(node)}", Origin(node));
                    break;
                case SectionListSetting { DefaultText: var defaults } when node is null:
                    Line(text, indent, $"{member.Key}: {defaults}", "default");
                    break;
                default:
                    WriteList(text, member.Key, node as ConfigList, indent);
                    break;
            }
        }
    }

    private static void WriteList(StringBuilder text, string key, ConfigList? list, int indent)
    {
        if (list is null or { Items: [] })
        {
            Line(text, indent, $"{key}: []", Origin(list));
            return;
        }

        Line(text, indent, $"{key}:", null);
        foreach (ConfigNode item in list.Items)
        {
            Line(text, indent, $"  - {Flow(item)}", Origin(item));
        }
    }

    private static void Line(StringBuilder text, int indent, string content, string? origin)
    {
        text.Append(' ', indent).Append(content);
        if (origin is not null)
        {
            text.Append(' ', Math.Max(1, 56 - indent - content.Length)).Append("# ").Append(origin);
        }

        text.Append('\n');
    }

    private static string Origin(ConfigNode? node) => node is null ? "default" : node.Origin.ToString();

    private static string Flow(ConfigNode node) => node switch
    {
        ConfigScalar scalar => Quote(scalar.Text),
        ConfigList list => $"[{string.Join(", ", list.Items.Select(Flow))}]",
        ConfigMap map => $"{{{string.Join(", ", map.Entries.Select(entry => $"{Quote(entry.Key)}: {Flow(entry.Value)}"))}}}",
        _ => "",
    };

    // JSON's double-quoted strings are YAML's too, and its encoder lets no control character through.
    private static string Quote(string value)
        => value.Length > 0 && !value.AsSpan().ContainsAnyExcept(PlainCharacters) && value[^1] != ':'
            ? value
            : $"\"{JsonEncodedText.Encode(value)}\"";
}
