using System.Text.Json.Nodes;

namespace ImageSentinel.Agent.Options;

/// <summary>The schema as JSON Schema 2020-12, for editors: <c>config schema</c>.</summary>
internal static class ConfigurationSchema
{
    public static JsonObject Build()
    {
        JsonObject root = Section(AgentSchema.Root);
        root.Insert(0, "$schema", "https://json-schema.org/draft/2020-12/schema");
        root.Insert(1, "title", "ImageSentinel agent configuration");
        return root;
    }

    private static JsonObject Section(SectionSetting section) => Members(section.Help, section.Members);

    private static JsonObject Members(string help, IEnumerable<Setting> members)
    {
        var properties = new JsonObject();
        foreach (Setting member in members)
        {
            properties[member.Key] = Describe(member);
        }

        return new JsonObject
        {
            ["description"] = help,
            ["type"] = new JsonArray("object", "null"),
            ["additionalProperties"] = false,
            ["properties"] = properties,
        };
    }

    private static JsonObject Describe(Setting setting)
    {
        switch (setting)
        {
            case SectionSetting section:
                return Section(section);

            case ValueSetting value:
                JsonObject one = Value(value.Kind);
                one.Insert(0, "description", $"{value.Help} ({value.Kind.Word})");
                if (value.DefaultText is not null)
                {
                    one["default"] = value.Kind.JsonTypes[0] switch
                    {
                        "boolean" => JsonValue.Create(value.DefaultText == "true"),
                        "integer" => JsonValue.Create(long.Parse(value.DefaultText, System.Globalization.CultureInfo.InvariantCulture)),
                        _ => JsonValue.Create(value.DefaultText),
                    };
                }

                return one;

            case SectionListSetting list:
                return new JsonObject
                {
                    ["description"] = list.Help,
                    ["type"] = new JsonArray("array", "null"),
                    ["items"] = Members(list.Help, list.Members),
                };

            case ListSetting list:
                return new JsonObject
                {
                    ["description"] = $"{list.Help} ({list.ItemKind.Word})",
                    ["type"] = new JsonArray("array", "null"),
                    ["items"] = Value(list.ItemKind),
                };

            default:
                throw new InvalidOperationException($"no JSON schema for {setting.GetType().Name}");
        }
    }

    private static JsonObject Value(ValueType kind)
    {
        // YAML makes an empty value null, and a person may quote a number or a boolean; both are read.
        var types = new JsonArray();
        foreach (string type in kind.JsonTypes)
        {
            types.Add((JsonNode)type);
        }

        types.Add((JsonNode)"null");
        var described = new JsonObject { ["type"] = types };
        if (kind.Choices.Length > 0 && kind.JsonTypes is ["string"])
        {
            var choices = new JsonArray();
            foreach (string choice in kind.Choices)
            {
                choices.Add((JsonNode)choice);
            }

            choices.Add((JsonNode?)null);
            described["enum"] = choices;
        }

        return described;
    }
}
