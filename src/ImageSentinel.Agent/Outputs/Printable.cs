using System.Globalization;
using System.Text;

namespace ImageSentinel.Agent.Outputs;

/// <summary>Makes text that somebody else wrote fit to be one part of one line on a terminal or in the journal.</summary>
internal static class Printable
{
    /// <summary>
    /// Control, formatting and bidirectional characters become visible escapes; what is longer than
    /// <paramref name="limit"/> characters is cut and says so.
    /// </summary>
    public static string Line(string? text, int limit)
    {
        if (string.IsNullOrEmpty(text))
        {
            return "";
        }

        var safe = new StringBuilder(Math.Min(text.Length, limit) + 8);
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (safe.Length >= limit)
            {
                safe.Append('…');
                break;
            }

            if (IsPlain(rune))
            {
                safe.Append(rune.ToString());
            }
            else
            {
                safe.Append(Escape(rune.Value));
            }
        }

        return safe.ToString();
    }

    private static string Escape(int value) => value switch
    {
        '\n' => "\\n",
        '\t' => "\\t",
        '\r' => "\\r",
        < 0x100 => string.Create(CultureInfo.InvariantCulture, $"\\x{value:x2}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"\\u{{{value:x}}}"),
    };

    private static bool IsPlain(Rune rune) => Rune.GetUnicodeCategory(rune) switch
    {
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
            or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned => false,
        _ => true,
    };
}
