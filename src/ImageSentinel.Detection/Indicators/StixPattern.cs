namespace ImageSentinel.Detection.Indicators;

/// <summary>Comparisons of a STIX pattern that one observed value alone can satisfy.</summary>
/// <remarks><c>[ipv4-addr:value = '203.0.113.66' OR domain-name:value IN ('a.example', 'b.example')] OR [file:hashes.'SHA-256' = '…']</c></remarks>
internal static class StixPattern
{
    private const int MaximumValues = 4096;

    /// <returns>Null when the pattern needs something that cannot be matched here: then nothing of it is taken. False
    /// when it would be matched, but a value of it is none.</returns>
    public static bool? TryAdd(string pattern, IndicatorSetBuilder into)
    {
        var values = new List<(string Path, string Value)>();
        ReadOnlySpan<char> rest = pattern.AsSpan().Trim();
        while (true)
        {
            if (!Take(ref rest, "[") || !Comparisons(ref rest, values) || !Take(ref rest, "]"))
            {
                return null;
            }

            if (rest.IsEmpty)
            {
                break;
            }

            if (!TakeWord(ref rest, "OR"))
            {
                return null;
            }
        }

        bool all = true;
        foreach ((string path, string value) in values)
        {
            all &= path switch
            {
                "ipv4-addr:value" or "ipv6-addr:value" => into.TryAddAddress(value, out _),
                "domain-name:value" => into.TryAddName(value),
                _ => into.TryAddHash(value),
            };
        }

        return all;
    }

    private static bool Comparisons(ref ReadOnlySpan<char> rest, List<(string Path, string Value)> values)
    {
        do
        {
            string path = "";
            foreach (string known in (ReadOnlySpan<string>)["ipv4-addr:value", "ipv6-addr:value", "domain-name:value", "file:hashes.'SHA-256'", "file:hashes.\"SHA-256\"", "file:hashes.SHA256"])
            {
                if (Take(ref rest, known))
                {
                    path = known;
                    break;
                }
            }

            if (path.Length == 0)
            {
                return false;
            }

            if (Take(ref rest, "="))
            {
                if (!Literal(ref rest, path, values))
                {
                    return false;
                }
            }
            else if (!TakeWord(ref rest, "IN") || !Take(ref rest, "(") || !List(ref rest, path, values))
            {
                return false;
            }
        }
        while (TakeWord(ref rest, "OR"));
        return true;
    }

    private static bool List(ref ReadOnlySpan<char> rest, string path, List<(string Path, string Value)> values)
    {
        do
        {
            if (!Literal(ref rest, path, values))
            {
                return false;
            }
        }
        while (Take(ref rest, ","));
        return Take(ref rest, ")");
    }

    // A quote inside a literal is escaped by a backslash; none of what is matched here can hold one.
    private static bool Literal(ref ReadOnlySpan<char> rest, string path, List<(string Path, string Value)> values)
    {
        if (!Take(ref rest, "'"))
        {
            return false;
        }

        int end = rest.IndexOf('\'');
        if (end < 0 || rest[..end].Contains('\\') || values.Count >= MaximumValues)
        {
            return false;
        }

        values.Add((path, rest[..end].Trim().ToString()));
        rest = rest[(end + 1)..].TrimStart();
        return true;
    }

    private static bool Take(ref ReadOnlySpan<char> rest, string token)
    {
        if (!rest.StartsWith(token, StringComparison.Ordinal))
        {
            return false;
        }

        rest = rest[token.Length..].TrimStart();
        return true;
    }

    private static bool TakeWord(ref ReadOnlySpan<char> rest, string word)
        => rest.Length > word.Length && !char.IsAsciiLetterOrDigit(rest[word.Length]) && Take(ref rest, word);
}
