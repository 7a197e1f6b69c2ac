using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using ImageSentinel.Collector.Hosting;
using Microsoft.AspNetCore.Html;

namespace ImageSentinel.Collector.Web;

/// <summary>Text that an attacker may have written, as HTML: markup is encoded, and what a browser would not show as
/// itself appears as a marked escape that cannot be confused with typed text.</summary>
internal sealed class VisibleText(string whole, bool keepLines, int limit) : IHtmlContent
{
    public void WriteTo(TextWriter writer, HtmlEncoder encoder)
    {
        string text = whole.Length <= limit ? whole : whole[..limit];
        int taken = 0;
        for (int i = 0; i < text.Length;)
        {
            bool isWhole = Rune.TryGetRuneAt(text, i, out Rune rune);
            int length = isWhole ? rune.Utf16SequenceLength : 1;
            if (!isWhole || (Visible.IsHidden(rune) && !(keepLines && rune.Value is '\n' or '\t')))
            {
                encoder.Encode(writer, text, taken, i - taken);
                writer.Write("<span class=\"esc\">");
                writer.Write(Visible.Escape(isWhole ? rune.Value : text[i]));
                writer.Write("</span>");
                taken = i + length;
            }

            i += length;
        }

        encoder.Encode(writer, text, taken, text.Length - taken);
        if (text.Length < whole.Length)
        {
            writer.Write("<span class=\"esc\">");
            writer.Write(string.Create(CultureInfo.InvariantCulture, $"… {whole.Length - text.Length} more characters"));
            writer.Write("</span>");
        }
    }
}
