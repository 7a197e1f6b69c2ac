using System.Text.RegularExpressions;

namespace ImageSentinel.Detection.Text;

/// <summary>Takes secrets out of text that will be kept: credentials in URLs, and values that call themselves secret.</summary>
public static partial class Redactor
{
    public const string Mask = "***";

    public static string Redact(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        string result = text.Contains("://", StringComparison.Ordinal) ? UserInfo().Replace(text, "$1" + Mask + "@") : text;
        return NamedSecret().IsMatch(result) ? NamedSecret().Replace(result, "$1" + Mask) : result;
    }

    // Every repetition has a bound: without one, a megabyte of "secretsecret…" takes the square of its length.
    [GeneratedRegex(@"([a-z][a-z0-9+.-]{0,30}://)[^/\s@'""]{0,4096}@", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex UserInfo();

    [GeneratedRegex(
        @"((?:passw(?:or)?d|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|authorization|x-registry-(?:auth|config))[\w-]{0,64}['""]?\s{0,8}(?:=|:)\s{0,8}(?:(?:bearer|basic)\s{1,8})?)(?!\*\*\*)[^\s'""&;,]+",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex NamedSecret();
}
