using System.Globalization;
using System.Text;
using ImageSentinel.Detection.Text;

namespace ImageSentinel.Detection.Indicators;

/// <summary>A plain list: one indicator a line; what follows a blank, comma, semicolon or <c>#</c> is a comment.</summary>
public static class PlainListReader
{
    private const int LongestLine = 1024;

    public static IndicatorReport Read(ReadOnlySpan<byte> text, IndicatorSetBuilder into)
    {
        ArgumentNullException.ThrowIfNull(into);
        text = text.StartsWith("\uFEFF"u8) ? text[3..] : text;
        Span<char> buffer = stackalloc char[LongestLine];
        int line = 0;
        int added = 0;
        int bad = 0;
        string first = "";
        while (!text.IsEmpty)
        {
            line++;
            int end = text.IndexOf((byte)'\n');
            ReadOnlySpan<byte> raw = end < 0 ? text : text[..end];
            text = end < 0 ? [] : text[(end + 1)..];
            raw = raw.Trim(" \t\r"u8);
            int stop = raw.IndexOfAny(" \t,;#"u8);
            raw = stop < 0 ? raw : raw[..stop];
            if (raw.IsEmpty)
            {
                continue;
            }

            string problem = "is too long";
            int length = raw.Length > LongestLine ? 0 : Encoding.Latin1.GetChars(raw, buffer);
            if (length > 0 && into.TryAdd(buffer[..length], out problem))
            {
                added++;
                continue;
            }

            bad++;
            if (first.Length == 0)
            {
                string shown = SafeText.Display(Encoding.Latin1.GetString(raw[..Math.Min(raw.Length, 80)]), 80);
                first = string.Create(CultureInfo.InvariantCulture, $"line {line}: \"{shown}\" {problem}");
            }
        }

        return new IndicatorReport(added, 0, bad, first);
    }
}
