namespace ImageSentinel.Agent.Options;

/// <summary>Finds the word a person probably meant.</summary>
internal static class DidYouMean
{
    /// <summary>"; did you mean "x"?" or nothing.</summary>
    public static string Hint(string written, IEnumerable<string> known)
        => Closest(written, known) is { } word ? $"; did you mean \"{word}\"?" : "";

    public static string? Closest(string written, IEnumerable<string> known)
    {
        string? best = null;
        int least = Math.Max(1, written.Length / 3) + 1;
        foreach (string word in known)
        {
            string a = Plain(written);
            string b = Plain(word);
            // Another ending of the same word ("enforce" for "enforcing") is nearer than its letters count.
            int distance = Distance(a, b) - (a.AsSpan().CommonPrefixLength(b) >= 5 ? 1 : 0);
            if (distance < least)
            {
                (best, least) = (word, distance);
            }
        }

        return best;
    }

    // Dashes, case and camelCase are the usual slips; they cost nothing.
    private static string Plain(string word)
        => word.Replace("_", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal).ToLowerInvariant();

    // Optimal string alignment: insertions, deletions, changes, and neighbours swapped.
    private static int Distance(string a, string b)
    {
        var cost = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++)
        {
            for (int j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    cost[i, j] = i + j;
                    continue;
                }

                int change = a[i - 1] == b[j - 1] ? 0 : 1;
                cost[i, j] = Math.Min(Math.Min(cost[i - 1, j] + 1, cost[i, j - 1] + 1), cost[i - 1, j - 1] + change);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                {
                    cost[i, j] = Math.Min(cost[i, j], cost[i - 2, j - 2] + 1);
                }
            }
        }

        return cost[a.Length, b.Length];
    }
}
