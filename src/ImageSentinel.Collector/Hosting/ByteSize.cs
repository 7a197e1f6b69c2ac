using System.Globalization;

namespace ImageSentinel.Collector.Hosting;

/// <summary>Sizes as the configuration writes them: <c>64MiB</c>, <c>2GiB</c>, or plain bytes.</summary>
internal static class ByteSize
{
    private static readonly (string Suffix, int Shift)[] Units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

    public static bool TryParse(string text, out long bytes)
    {
        int shift = 0;
        ReadOnlySpan<char> digits = text;
        foreach ((string suffix, int unit) in Units)
        {
            if (text.EndsWith(suffix, StringComparison.OrdinalIgnoreCase))
            {
                shift = unit;
                digits = digits[..^suffix.Length];
            }
        }

        bool read = long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out bytes) && bytes <= long.MaxValue >> shift;
        bytes = read ? bytes << shift : 0;
        return read;
    }
}
