using System.Text.Json;
using System.Text.Json.Serialization;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Sensors.Stream;

/// <summary>Facts as they travel in items of kind Facts and SensorState, and in captures: one JSON object an item.</summary>
public static class FactCodec
{
    /// <summary>Longest fact taken in: a Dockerfile of 1 MiB, escaped.</summary>
    public const int MaximumBytes = 8 << 20;

    public static SensorItem ToItem(Fact fact, long boot, long wall)
    {
        byte[] bytes = JsonSerializer.SerializeToUtf8Bytes(fact, FactJson.Default.Fact);
        return new SensorItem(fact is SensorFact ? SensorKind.SensorState : SensorKind.Facts, boot, wall, bytes, bytes.Length);
    }

    /// <returns>Null when the bytes are no fact we know: a newer agent's, or damage.</returns>
    public static Fact? FromItem(in SensorItem item)
    {
        try
        {
            if (HasNullInList(item.Span))
            {
                return null;
            }

            return JsonSerializer.Deserialize(item.Span, FactJson.Default.Fact);
        }
        catch (Exception e) when (e is JsonException or NotSupportedException)
        {
            return null;
        }
    }

    // What a list must not hold is the one thing that the serializer does not check. Depth is bounded by the reader: 64.
    private static bool HasNullInList(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        ulong lists = 0;
        while (reader.Read())
        {
            if (reader.TokenType is JsonTokenType.StartArray or JsonTokenType.StartObject)
            {
                lists = (lists << 1) | (reader.TokenType == JsonTokenType.StartArray ? 1ul : 0);
            }
            else if (reader.TokenType is JsonTokenType.EndArray or JsonTokenType.EndObject)
            {
                lists >>= 1;
            }
            else if (reader.TokenType == JsonTokenType.Null && (lists & 1) != 0)
            {
                return true;
            }
        }

        return false;
    }
}

// A capture may come from a stranger: what is missing or null where it must not be makes the fact none.
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.Never,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(Fact))]
internal sealed partial class FactJson : JsonSerializerContext;
