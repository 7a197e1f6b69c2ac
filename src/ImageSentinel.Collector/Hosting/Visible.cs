using System.Globalization;
using System.Text;

namespace ImageSentinel.Collector.Hosting;

/// <summary>Makes text that an attacker may have written show what it is: control characters, characters that turn the
/// direction of writing, invisible ones and broken surrogates become <c>\x1b</c> or <c>\u{202e}</c>.</summary>
internal static class Visible
{
    public static string Of(string? text)
    {
        if (string.IsNullOrEmpty(text))
        {
            return "";
        }

        StringBuilder? shown = null;
        int taken = 0;
        for (int i = 0; i < text.Length;)
        {
            bool whole = Rune.TryGetRuneAt(text, i, out Rune rune);
            int length = whole ? rune.Utf16SequenceLength : 1;
            if (!whole || IsHidden(rune))
            {
                shown ??= new StringBuilder(text.Length + 16);
                shown.Append(text, taken, i - taken).Append(Escape(whole ? rune.Value : text[i]));
                taken = i + length;
            }

            i += length;
        }

        return shown is null ? text : shown.Append(text, taken, text.Length - taken).ToString();
    }

    /// <summary>True for what a reader would not see as itself.</summary>
    public static bool IsHidden(Rune rune) => Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control
        or UnicodeCategory.Format // bidi overrides and isolates, zero width, soft hyphen, tags
        or UnicodeCategory.LineSeparator
        or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.PrivateUse
        or UnicodeCategory.OtherNotAssigned;

    public static string Escape(int value) => value switch
    {
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        < 0x100 => string.Create(CultureInfo.InvariantCulture, $"\\x{value:x2}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"\\u{{{value:x}}}"),
    };
}
