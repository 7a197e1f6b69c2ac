using System.Collections.Immutable;

namespace ImageSentinel.Agent.Options;

/// <summary>Reads one kind of value.</summary>
/// <param name="text">As written, quotes removed.</param>
/// <param name="value">The value, when true is returned.</param>
/// <param name="problem">What is wrong and how to write it instead, when false is returned.</param>
internal delegate bool ValueParser<T>(string text, out T value, out string problem);

/// <summary>One kind of value a setting can have: how it is read, and how the JSON schema describes it.</summary>
/// <param name="Word">What a value of this kind is, for messages: "a duration such as 5m".</param>
/// <param name="JsonTypes">JSON schema types that YAML may turn such a value into.</param>
/// <param name="Choices">The only values allowed; empty when open.</param>
internal record ValueType(string Word, ImmutableArray<string> JsonTypes, ImmutableArray<string> Choices);

internal sealed record ValueType<T>(
    string Word, ImmutableArray<string> JsonTypes, ImmutableArray<string> Choices, ValueParser<T> Parse)
    : ValueType(Word, JsonTypes, Choices)
{
    public ValueType(string word, ValueParser<T> parse)
        : this(word, ["string"], [], parse)
    {
    }
}
