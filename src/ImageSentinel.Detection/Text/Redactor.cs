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
        result = NamedSecret().IsMatch(result) ? NamedSecret().Replace(result, "$1" + Mask) : result;
        return result.Contains('-', StringComparison.Ordinal) && OptionSecret().IsMatch(result) ? OptionSecret().Replace(result, "${option}" + Mask) : result;
    }

    /// <summary>The same for a list of arguments, where an option's value is the next word.</summary>
    public static IReadOnlyList<string> RedactArguments(IReadOnlyList<string> arguments)
    {
        ArgumentNullException.ThrowIfNull(arguments);
        var redacted = new string[arguments.Count];
        for (int i = 0; i < redacted.Length; i++)
        {
            redacted[i] = Redact(arguments[i]);
            if (i > 0 && arguments[i - 1].StartsWith('-') && !arguments[i].Contains(' ', StringComparison.Ordinal))
            {
                // As they would stand in one line; the option's own text is not touched by it.
                string together = Redact(arguments[i - 1] + " " + redacted[i]);
                if (together.StartsWith(arguments[i - 1] + " ", StringComparison.Ordinal))
                {
                    redacted[i] = together[(arguments[i - 1].Length + 1)..];
                }
            }
        }

        return redacted;
    }

    // Every repetition has a bound: without one, a megabyte of "secretsecret…" takes the square of its length.
    [GeneratedRegex(@"([a-z][a-z0-9+.-]{0,30}://)[^/\s@'""]{0,4096}@", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex UserInfo();

    [GeneratedRegex(
        @"((?:passw(?:or)?d|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|authorization|x-registry-(?:auth|config)|x-[a-z-]{0,32}auth|set-cookie|cookie)[\w-]{0,64}['""]?\s{0,8}(?:=|:)\s{0,8}(?:(?:bearer|basic)\s{1,8})?)(?!\*\*\*)[^\s'""&;,]+",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex NamedSecret();

    // -u name:password, --password WORD, --build-arg NAME=value. Ports, folders and identifiers after -p or id= are none.
    [GeneratedRegex(
        @"(?<option>(?<![\w-])(?:(?:-u|-U|--user|--proxy-user)(?:\s{0,8}|=)['""]?[^\s:'""/]{1,256}:|--[a-z-]{0,32}(?:password|passwd|passphrase|token|secret|api-?key|access-?key)\s{1,8}['""]?(?!id=|type=|-)|sshpass\s{1,8}-p\s{0,8}['""]?|--build-arg(?:\s{1,8}|=)['""]?[A-Za-z_]\w{0,128}=))(?!\*\*\*)[^\s'""]+",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex OptionSecret();
}
