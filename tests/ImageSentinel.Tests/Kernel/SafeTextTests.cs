using System.Text;
using CsCheck;
using ImageSentinel.Detection.Text;
using NUnit.Framework;

namespace ImageSentinel.Tests.Kernel;

public sealed class SafeTextTests
{
    [TestCase("plain text, with: marks!", "plain text, with: marks!")]
    [TestCase("", "")]
    [TestCase("a\nb\r\tc", @"a\nb\r\tc")]
    [TestCase("\u001b[31mred\u0007", @"\x1b[31mred\x07")]
    [TestCase("\u007f", @"\x7f")]
    [TestCase("\u009b31m", @"\u{9b}31m")]
    [TestCase(@"C:\x1b", @"C:\\x1b")]
    [TestCase("a\u202Eb\u2066c\u200Fd", @"a\u{202e}b\u{2066}c\u{200f}d")]
    [TestCase("a\u200Bb\u2060c\uFEFFd\u00ADe", @"a\u{200b}b\u{2060}c\u{feff}d\u{ad}e")]
    [TestCase("a\u2028b\u2029c", @"a\u{2028}b\u{2029}c")]
    [TestCase("a\u00A0b\u3000c\u3164d", @"a\u{a0}b\u{3000}c\u{3164}d")]
    [TestCase("\U000E0041", @"\u{e0041}")]
    [TestCase("Grüße, 世界 😀", "Grüße, 世界 😀")]
    public void What_could_deceive_is_spelled_out(string text, string shown)
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(SafeText.Display(text), Is.EqualTo(shown));
            Assert.That(SafeText.Display(Encoding.UTF8.GetBytes(text)), Is.EqualTo(shown));
        }
    }

    [TestCase("ff", @"\xff")]
    [TestCase("61c328", @"a\xc3(")]
    [TestCase("c080", @"\xc0\x80")]
    [TestCase("eda080", @"\xed\xa0\x80")]
    [TestCase("f09f98", @"\xf0\x9f\x98")]
    public void Bytes_that_are_not_text_are_shown_one_by_one(string hex, string shown)
        => Assert.That(SafeText.Display(Convert.FromHexString(hex)), Is.EqualTo(shown));

    [Test]
    public void Half_a_surrogate_pair_is_spelled_out()
        => Assert.That(SafeText.Display("a\ud83db"), Is.EqualTo(@"a\u{d83d}b"));

    [Test]
    public void What_is_cut_off_is_counted()
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(SafeText.Display("abcdef", 4), Is.EqualTo("abcd… (+2)"));
            Assert.That(SafeText.Display("abcdef"u8, 4), Is.EqualTo("abcd… (+2 bytes)"));
            Assert.That(SafeText.Display("abc\nef", 4), Is.EqualTo("abc… (+3)"), "an escape is not cut in two");
            Assert.That(SafeText.Display("abc😀", 4), Is.EqualTo("abc… (+2)"), "a pair is not cut in two");
            Assert.That(SafeText.Display("abcd", 4), Is.EqualTo("abcd"));
            Assert.That(SafeText.Display("a", 0), Is.EqualTo("… (+1)"));
            Assert.That(SafeText.Display((string?)null, 4), Is.Empty);
        }
    }

    [Test]
    public void Nothing_that_is_shown_moves_a_cursor_or_hides()
        => Gen.Byte.Array[0, 200].Sample(bytes =>
        {
            string shown = SafeText.Display(bytes, 100);
            string note = shown.Contains('…', StringComparison.Ordinal) ? shown[shown.IndexOf('…', StringComparison.Ordinal)..] : "";
            string body = shown[..^note.Length];
            return body.Length <= 100
                && body.EnumerateRunes().All(rune => rune.Value == '\\' || SafeText.IsPlain(rune))
                && (note.Length > 0) == (body.Length < SafeText.Display(bytes, 10_000).Length);
        });

    [Test]
    public void Different_bytes_are_shown_differently()
        => Gen.Select(Gen.Byte.Array[0, 6], Gen.Byte.Array[0, 6]).Sample((left, right)
            => left.AsSpan().SequenceEqual(right) || SafeText.Display(left) != SafeText.Display(right));
}
