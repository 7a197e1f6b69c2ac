using System.Globalization;
using System.Text.Json;

namespace ImageSentinel.Detection.Indicators;

/// <summary>A STIX 2.1 bundle, the part of it that can be matched here; the rest is counted.</summary>
/// <remarks>
/// Taken: <c>ipv4-addr</c>, <c>ipv6-addr</c>, <c>domain-name</c> and <c>file</c> with a SHA-256, and <c>indicator</c>
/// objects whose pattern compares those by <c>=</c> or <c>IN</c>, joined by OR (STIX 2.1, 4.7 and 9). Anything that needs two
/// things at once (AND, FOLLOWEDBY, qualifiers) cannot be matched by one and is skipped whole.
/// </remarks>
public static class StixReader
{
    /// <summary>True when the bytes look like JSON and not like a list.</summary>
    public static bool IsJson(ReadOnlySpan<byte> text) => (text.StartsWith("\uFEFF"u8) ? text[3..] : text).TrimStart(" \t\r\n"u8) is [(byte)'{', ..];

    /// <param name="now">Indicators whose <c>valid_until</c> is earlier are skipped.</param>
    public static IndicatorReport Read(ReadOnlySpan<byte> json, IndicatorSetBuilder into, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(into);
        json = json.StartsWith("\uFEFF"u8) ? json[3..] : json;
        var counts = new Counts();
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 32 });
        try
        {
            bool bundle = false;
            bool objects = false;
            _ = reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("type"u8))
                {
                    _ = reader.Read();
                    bundle = reader.TokenType == JsonTokenType.String && reader.ValueTextEquals("bundle"u8);
                }
                else if (reader.ValueTextEquals("objects"u8) && reader.Read() && reader.TokenType == JsonTokenType.StartArray)
                {
                    objects = true;
                    while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
                    {
                        ReadObject(ref reader, into, now, ref counts);
                    }
                }
                else
                {
                    reader.Skip();
                }
            }

            if (!bundle || !objects)
            {
                return new IndicatorReport(counts.Added, counts.Skipped, counts.Bad + 1, "is JSON but no STIX bundle (\"type\": \"bundle\" with \"objects\")");
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            long line = e is JsonException { LineNumber: { } number } ? number + 1 : 0;
            return new IndicatorReport(
                counts.Added, counts.Skipped, counts.Bad + 1, string.Create(CultureInfo.InvariantCulture, $"line {line}: is not valid JSON"));
        }

        return new IndicatorReport(counts.Added, counts.Skipped, counts.Bad, counts.First);
    }

    private static void ReadObject(ref Utf8JsonReader reader, IndicatorSetBuilder into, DateTimeOffset now, ref Counts counts)
    {
        string type = "", value = "", pattern = "", patternType = "stix", hash = "", id = "";
        bool live = true;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString() ?? "";
            _ = reader.Read();
            switch (name)
            {
                case "type" or "value" or "pattern" or "pattern_type" or "id" or "valid_until" when reader.TokenType == JsonTokenType.String:
                    string text = reader.GetString() ?? "";
                    type = name == "type" ? text : type;
                    value = name == "value" ? text : value;
                    pattern = name == "pattern" ? text : pattern;
                    patternType = name == "pattern_type" ? text : patternType;
                    id = name == "id" ? text : id;
                    live &= name != "valid_until"
                        || !DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset until) || until > now;
                    break;
                case "revoked" when reader.TokenType == JsonTokenType.True:
                    live = false;
                    break;
                case "hashes" when reader.TokenType == JsonTokenType.StartObject:
                    hash = ReadHashes(ref reader);
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        string problem = "";
        bool? taken = !live ? null : type switch
        {
            "ipv4-addr" or "ipv6-addr" => into.TryAddAddress(value, out problem),
            "domain-name" => into.TryAddName(value),
            "file" when hash.Length > 0 => into.TryAddHash(hash),
            "indicator" when patternType == "stix" => StixPattern.TryAdd(pattern, into),
            _ => null,
        };
        counts.Add(taken, $"object {Text.SafeText.Display(id, 80)}: {(problem.Length > 0 ? problem : "has a value that is none of its type")}");
    }

    private static string ReadHashes(ref Utf8JsonReader reader)
    {
        string found = "";
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            bool sha256 = reader.ValueTextEquals("SHA-256"u8);
            _ = reader.Read();
            if (sha256 && reader.TokenType == JsonTokenType.String)
            {
                found = reader.GetString() ?? "";
            }
            else
            {
                reader.Skip();
            }
        }

        return found;
    }

    private struct Counts
    {
        public int Added;
        public int Skipped;
        public int Bad;
        public string First = "";

        public Counts()
        {
        }

        public void Add(bool? taken, string problem)
        {
            Added += taken == true ? 1 : 0;
            Skipped += taken is null ? 1 : 0;
            Bad += taken == false ? 1 : 0;
            First = taken == false && First.Length == 0 ? problem : First;
        }
    }
}
