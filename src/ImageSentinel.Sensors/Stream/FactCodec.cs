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
            return JsonSerializer.Deserialize(item.Span, FactJson.Default.Fact);
        }
        catch (Exception e) when (e is JsonException or NotSupportedException)
        {
            return null;
        }
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.Never)]
[JsonSerializable(typeof(Fact))]
internal sealed partial class FactJson : JsonSerializerContext;
