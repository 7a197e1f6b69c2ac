using System.Buffers;
using System.Globalization;
using System.Text;
using Google.Protobuf;

namespace ImageSentinel.Agent.Outputs;

/// <summary>Protobuf messages as proto3 JSON on one line, safe to print on a terminal.</summary>
public static class RecordJson
{
    private static readonly JsonFormatter s_formatter = new(JsonFormatter.Settings.Default);

    // JsonFormatter escapes control characters, but not every character that a terminal obeys: the bidirectional
    // isolates pass. Outside a JSON string there is nothing but ASCII, so what is found here is inside one.
    private static readonly SearchValues<char> s_obeyed = SearchValues.Create(
        "\u007f\u0080\u0085\u009b\u061c\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff");

    /// <summary>One line, without the line's end and without the formatter's blanks.</summary>
    public static string Line(IMessage message) => Escape(Compact(s_formatter.Format(message)));

    /// <summary>JSON that means the same, without a character that a terminal would obey.</summary>
    public static string Escape(string text)
    {
        int at = text.AsSpan().IndexOfAny(s_obeyed);
        if (at < 0)
        {
            return text;
        }

        var safe = new StringBuilder(text.Length + 16);
        ReadOnlySpan<char> rest = text;
        while (at >= 0)
        {
            safe.Append(rest[..at]).Append(CultureInfo.InvariantCulture, $"\\u{(int)rest[at]:x4}");
            rest = rest[(at + 1)..];
            at = rest.IndexOfAny(s_obeyed);
        }

        return safe.Append(rest).ToString();
    }

    // JsonFormatter puts blanks around everything and has no setting against it; a spool of lines is a tenth smaller
    // without them.
    private static string Compact(string text) => string.Create(text.Length - Blanks(text), text, static (target, source) =>
    {
        int length = 0;
        bool inside = false;
        for (int i = 0; i < source.Length; i++)
        {
            char c = source[i];
            inside ^= c == '"' && !IsEscaped(source, i);
            if (inside || c != ' ')
            {
                target[length++] = c;
            }
        }
    });

    private static int Blanks(string text)
    {
        int blanks = 0;
        bool inside = false;
        for (int i = 0; i < text.Length; i++)
        {
            inside ^= text[i] == '"' && !IsEscaped(text, i);
            blanks += !inside && text[i] == ' ' ? 1 : 0;
        }

        return blanks;
    }

    private static bool IsEscaped(string text, int at)
    {
        int backslashes = 0;
        while (backslashes < at && text[at - 1 - backslashes] == '\\')
        {
            backslashes++;
        }

        return backslashes % 2 == 1;
    }
}
