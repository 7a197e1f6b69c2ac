using System.Text;
using ImageSentinel.Detection.Text;

namespace ImageSentinel.Agent.Outputs;

/// <summary>Makes text fit to be one part of one line on a terminal or in the journal.</summary>
internal static class Printable
{
    /// <summary>One value that somebody else wrote: argv, a path, a tag, a name. Unambiguous: a backslash becomes two.</summary>
    public static string Line(string? text, int limit) => SafeText.Display(text, limit);

    /// <summary>
    /// A sentence of ours that may hold such values, escaped already or not. Nothing that a terminal obeys passes; what
    /// was escaped before stays as it is.
    /// </summary>
    public static string Sentence(string? text, int limit)
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

            string one = rune.ToString();
            safe.Append(rune.Value == '\\' ? one : SafeText.Display(one));
        }

        return safe.ToString();
    }
}
