using System.Buffers;
using System.Globalization;
using System.Text;

namespace ImageSentinel.Detection.Text;

/// <summary>Makes text that others chose (argv, paths, names, tags) fit to be shown on a terminal or in a journal.</summary>
/// <remarks>
/// <para>What moves the cursor, changes colours, ends a line, turns the writing direction, or is invisible becomes an
/// escape: <c>\n \r \t</c>, <c>\xNN</c> for bytes and control characters, <c>\u{NNNN}</c> for other code points. A
/// backslash becomes two, so no escape can be feigned. Bytes that are not UTF-8 are shown one by one as <c>\xNN</c>.</para>
/// <para>What was cut off is said, with its size, behind an ellipsis.</para>
/// </remarks>
public static class SafeText
{
    /// <summary>Characters shown when the caller does not say how many.</summary>
    public const int DefaultLimit = 512;

    private static readonly SearchValues<byte> PlainBytes = SearchValues.Create(PlainAscii());
    private static readonly SearchValues<char> PlainCharacters = SearchValues.Create(Encoding.ASCII.GetString(PlainAscii()));

    /// <summary>Shows bytes, taken for UTF-8.</summary>
    /// <param name="text">Any bytes.</param>
    /// <param name="limit">Characters of the result before the note about what was cut.</param>
    public static string Display(ReadOnlySpan<byte> text, int limit = DefaultLimit)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(limit);
        if (text.Length <= limit && !text.ContainsAnyExcept(PlainBytes))
        {
            return Encoding.ASCII.GetString(text);
        }

        var shown = new StringBuilder(Math.Min(limit, text.Length + 16));
        ReadOnlySpan<byte> rest = text;
        while (!rest.IsEmpty)
        {
            OperationStatus status = Rune.DecodeFromUtf8(rest, out Rune rune, out int consumed);
            int before = shown.Length;
            if (status == OperationStatus.Done)
            {
                Append(shown, rune);
            }
            else
            {
                foreach (byte invalid in rest[..consumed])
                {
                    AppendByte(shown, invalid);
                }
            }

            if (shown.Length > limit)
            {
                shown.Length = before;
                return shown.Append(CultureInfo.InvariantCulture, $"… (+{rest.Length} bytes)").ToString();
            }

            rest = rest[consumed..];
        }

        return shown.ToString();
    }

    /// <summary>Shows a string; half surrogate pairs are escaped too.</summary>
    /// <param name="text">Any text; null is shown as nothing.</param>
    /// <param name="limit">Characters of the result before the note about what was cut.</param>
    public static string Display(string? text, int limit = DefaultLimit)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(limit);
        if (string.IsNullOrEmpty(text))
        {
            return "";
        }

        if (text.Length <= limit && !text.AsSpan().ContainsAnyExcept(PlainCharacters))
        {
            return text;
        }

        var shown = new StringBuilder(Math.Min(limit, text.Length + 16));
        ReadOnlySpan<char> rest = text;
        while (!rest.IsEmpty)
        {
            OperationStatus status = Rune.DecodeFromUtf16(rest, out Rune rune, out int consumed);
            int before = shown.Length;
            if (status == OperationStatus.Done)
            {
                Append(shown, rune);
            }
            else
            {
                shown.Append(CultureInfo.InvariantCulture, $"\\u{{{(int)rest[0]:x}}}");
            }

            if (shown.Length > limit)
            {
                shown.Length = before;
                return shown.Append(CultureInfo.InvariantCulture, $"… (+{rest.Length})").ToString();
            }

            rest = rest[consumed..];
        }

        return shown.ToString();
    }

    /// <summary>True when the code point can be shown as it is.</summary>
    public static bool IsPlain(Rune rune)
    {
        if (rune.IsAscii)
        {
            return rune.Value is >= 0x20 and < 0x7f and not '\\';
        }

        return Rune.GetUnicodeCategory(rune) switch
        {
            // Format: writing direction, zero-width joiners, tags, the byte order mark. The other separators look like
            // blanks or end a line.
            UnicodeCategory.Control
                or UnicodeCategory.Format
                or UnicodeCategory.Surrogate
                or UnicodeCategory.PrivateUse
                or UnicodeCategory.OtherNotAssigned
                or UnicodeCategory.SpaceSeparator
                or UnicodeCategory.LineSeparator
                or UnicodeCategory.ParagraphSeparator => false,
            _ => !IsInvisible(rune.Value),
        };
    }

    // Letters and marks that show nothing: grapheme joiner, Hangul fillers, Khmer inherent vowels, Mongolian and other
    // variation selectors, the empty Braille pattern.
    private static bool IsInvisible(int value) => value is 0x034f
        or 0x115f or 0x1160 or 0x3164 or 0xffa0
        or 0x17b4 or 0x17b5
        or (>= 0x180b and <= 0x180f)
        or 0x2800
        or (>= 0xfe00 and <= 0xfe0f)
        or (>= 0xe0100 and <= 0xe01ef);

    private static void Append(StringBuilder shown, Rune rune)
    {
        if (IsPlain(rune))
        {
            // A rune may take two characters; StringBuilder has no overload for it that does not allocate.
            Span<char> characters = stackalloc char[2];
            shown.Append(characters[..rune.EncodeToUtf16(characters)]);
            return;
        }

        switch (rune.Value)
        {
            case '\n':
                shown.Append("\\n");
                break;
            case '\r':
                shown.Append("\\r");
                break;
            case '\t':
                shown.Append("\\t");
                break;
            case '\\':
                shown.Append("\\\\");
                break;
            case < 0x80:
                AppendByte(shown, (byte)rune.Value);
                break;
            default:
                shown.Append(CultureInfo.InvariantCulture, $"\\u{{{rune.Value:x}}}");
                break;
        }
    }

    private static void AppendByte(StringBuilder shown, byte value)
        => shown.Append(CultureInfo.InvariantCulture, $"\\x{value:x2}");

    private static byte[] PlainAscii()
        => [.. Enumerable.Range(0x20, 0x7f - 0x20).Where(value => value != '\\').Select(value => (byte)value)];
}
