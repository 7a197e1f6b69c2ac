using System.Globalization;
using System.Text;

namespace ImageSentinel.Detection.Text;

/// <summary>Makes text that an attacker wrote safe to show: what could move a cursor, hide or reorder text is spelled out.</summary>
/// <remarks>Escaped: C0, DEL, C1, bidi controls, zero-width and line separators, lone surrogates, private and unassigned
/// characters. A backslash is doubled, so that no text can imitate an escape.</remarks>
public static class SafeText
{
    /// <summary>At most <paramref name="limit"/> characters of the text; what was cut is counted at the end.</summary>
    public static string Display(string text, int limit)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.Length <= limit && IsPlain(text))
        {
            return text;
        }

        int cut = Math.Min(text.Length, limit);
        if (cut > 0 && cut < text.Length && char.IsHighSurrogate(text[cut - 1]))
        {
            cut--;
        }

        var shown = new StringBuilder(cut + 16);
        for (int i = 0; i < cut;)
        {
            if (Rune.TryGetRuneAt(text, i, out Rune rune))
            {
                Append(shown, rune);
                i += rune.Utf16SequenceLength;
            }
            else
            {
                _ = shown.Append(CultureInfo.InvariantCulture, $"\\u{(int)text[i]:x4}");
                i++;
            }
        }

        if (cut < text.Length)
        {
            _ = shown.Append(CultureInfo.InvariantCulture, $"… (+{text.Length - cut})");
        }

        return shown.ToString();
    }

    private static bool IsPlain(string text)
    {
        foreach (char c in text)
        {
            if (c is < ' ' or > '~' or '\\')
            {
                return false;
            }
        }

        return true;
    }

    private static void Append(StringBuilder shown, Rune rune)
    {
        switch (rune.Value)
        {
            case '\\':
                _ = shown.Append("\\\\");
                return;
            case '\n':
                _ = shown.Append("\\n");
                return;
            case '\r':
                _ = shown.Append("\\r");
                return;
            case '\t':
                _ = shown.Append("\\t");
                return;
        }

        bool hidden = Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format
            or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned
            or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;
        if (!hidden)
        {
            _ = shown.Append(rune.ToString());
        }
        else if (rune.Value <= 0xFF)
        {
            _ = shown.Append(CultureInfo.InvariantCulture, $"\\x{rune.Value:x2}");
        }
        else
        {
            _ = shown.Append(CultureInfo.InvariantCulture, $"\\u{{{rune.Value:x}}}");
        }
    }
}
