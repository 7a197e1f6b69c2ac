using System.Collections.Frozen;
using System.Globalization;
using System.Net;

namespace ImageSentinel.Agent.Options;

/// <summary>The kinds of values the configuration knows. Each refusal says how to write it instead.</summary>
internal static partial class ValueTypes
{
    private static readonly FrozenDictionary<string, TimeSpan> DurationUnits = new Dictionary<string, TimeSpan>
    {
        ["ms"] = TimeSpan.FromMilliseconds(1),
        ["s"] = TimeSpan.FromSeconds(1),
        ["m"] = TimeSpan.FromMinutes(1),
        ["h"] = TimeSpan.FromHours(1),
        ["d"] = TimeSpan.FromDays(1),
        ["w"] = TimeSpan.FromDays(7),
    }.ToFrozenDictionary(StringComparer.Ordinal);

    private static readonly FrozenDictionary<string, long> SizeUnits = new Dictionary<string, long>
    {
        ["B"] = 1,
        ["KiB"] = 1L << 10,
        ["MiB"] = 1L << 20,
        ["GiB"] = 1L << 30,
        ["TiB"] = 1L << 40,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    public static ValueType<string> Text { get; } = new("a text", ParseText);

    public static ValueType<string> Path { get; } = new("an absolute path", ParsePath);

    public static ValueType<string> OptionalPath { get; } = new("an absolute path, or \"\" for none", ParseOptionalPath);

    public static ValueType<string> EngineSocket { get; } = new("the path of a Docker engine's Unix socket", ParseEngineSocket);

    public static ValueType<string> JsonLinesTarget { get; } = new("an absolute path, \"-\" for standard output, or \"\" for none", ParseJsonLinesTarget);

    public static ValueType<Uri?> CollectorUrl { get; } = new("a URL such as https://collector.corp.example:4317, or \"\" for none", ParseCollectorUrl);

    public static ValueType<bool> Boolean { get; } = new("true or false", ["boolean"], ["true", "false"], ParseBoolean);

    public static ValueType<IPNetwork> Network { get; } = new("an address or CIDR such as 10.0.0.0/8", ParseNetwork);

    public static ValueType<DestinationPattern> Destination { get; } = new("an address, CIDR, name or *.suffix", ParseDestination);

    public static ValueType<string> Registry { get; } = new("a registry such as registry.corp.example or 127.0.0.1:5000", ParseRegistry);

    public static ValueType<DateTimeOffset> Moment { get; } = new("a date such as 2027-03-31, or a time such as 2027-03-31T12:00:00Z", ParseMoment);

    public static ValueType<TimeSpan> Duration(TimeSpan least, TimeSpan most)
        => new("a duration such as 30s, 5m, 1h30m or 7d", (string text, out TimeSpan value, out string problem) =>
        {
            if (!TryDuration(text, out value, out problem))
            {
                return false;
            }

            if (value < least || value > most)
            {
                problem = $"{text} is outside {Describe(least)} to {Describe(most)}";
                return false;
            }

            return true;
        });

    public static ValueType<long> Size(long least)
        => new("a size such as 64MiB", (string text, out long value, out string problem) =>
        {
            if (!TrySize(text, out value, out problem))
            {
                return false;
            }

            if (value < least)
            {
                problem = $"{text} is less than {least / (1 << 20)}MiB";
                return false;
            }

            return true;
        });

    public static ValueType<long> Integer(long least, long most)
        => new($"a whole number from {least} to {most}", ["integer"], [], (string text, out long value, out string problem) =>
        {
            problem = $"\"{text}\" is not a whole number from {least} to {most}";
            return long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value)
                && value >= least && value <= most;
        });

    public static ValueType<T> OneOf<T>(params (string Word, T Value)[] choices)
    {
        string list = string.Join(", ", choices.Select(choice => choice.Word));
        return new(
            $"one of {list}",
            ["string"],
            [.. choices.Select(choice => choice.Word)],
            (string text, out T value, out string problem) =>
            {
                foreach ((string word, T meaning) in choices)
                {
                    if (word == text)
                    {
                        (value, problem) = (meaning, "");
                        return true;
                    }
                }

                (value, problem) = (choices[0].Value, $"\"{text}\" is not one of {list}{DidYouMean.Hint(text, choices.Select(c => c.Word))}");
                return false;
            });
    }

    /// <summary>"1h30m", largest unit first, each unit once.</summary>
    public static bool TryDuration(string text, out TimeSpan value, out string problem)
    {
        value = TimeSpan.Zero;
        ReadOnlySpan<char> rest = text;
        TimeSpan smallest = TimeSpan.MaxValue;
        while (TakeNumber(ref rest, out long number, out string unit))
        {
            if (unit.Length == 0)
            {
                problem = $"\"{text}\" has no unit; write {number}s, {number}m, {number}h or {number}d";
                return false;
            }

            if (!DurationUnits.TryGetValue(unit, out TimeSpan one) || one >= smallest || number > TimeSpan.MaxValue.Ticks / one.Ticks / 4)
            {
                break;
            }

            smallest = one;
            value += one * number;
            if (rest.IsEmpty)
            {
                problem = "";
                return true;
            }
        }

        problem = $"\"{text}\" is not a duration; write a number and ms, s, m, h, d or w, such as 5m or 1h30m";
        return false;
    }

    public static bool TrySize(string text, out long value, out string problem)
    {
        ReadOnlySpan<char> rest = text;
        value = 0;
        if (TakeNumber(ref rest, out long number, out string unit) && rest.IsEmpty)
        {
            if (unit.Length == 0)
            {
                problem = $"\"{text}\" has no unit; write {number}B, {number}KiB or {number}MiB";
                return false;
            }

            if (SizeUnits.TryGetValue(unit, out long one) && number <= long.MaxValue / one)
            {
                value = number * one;
                problem = "";
                return true;
            }
        }

        problem = $"\"{text}\" is not a size; write a whole number and B, KiB, MiB, GiB or TiB, such as 64MiB";
        return false;
    }

    /// <summary>The shortest form that reads back as the same duration.</summary>
    public static string Describe(TimeSpan value)
    {
        foreach ((string unit, TimeSpan one) in DurationUnits.OrderByDescending(pair => pair.Value))
        {
            if (value >= one && value.Ticks % one.Ticks == 0)
            {
                return string.Create(CultureInfo.InvariantCulture, $"{value.Ticks / one.Ticks}{unit}");
            }
        }

        return string.Create(CultureInfo.InvariantCulture, $"{(long)value.TotalMilliseconds}ms");
    }

    public static string DescribeSize(long bytes)
    {
        foreach ((string unit, long one) in SizeUnits.OrderByDescending(pair => pair.Value))
        {
            if (bytes >= one && bytes % one == 0)
            {
                return string.Create(CultureInfo.InvariantCulture, $"{bytes / one}{unit}");
            }
        }

        return "0B";
    }

    private static bool TakeNumber(ref ReadOnlySpan<char> rest, out long number, out string unit)
    {
        number = 0;
        unit = "";
        int digits = rest.IndexOfAnyExceptInRange('0', '9');
        digits = digits < 0 ? rest.Length : digits;
        if (digits == 0 || !long.TryParse(rest[..digits], NumberStyles.None, CultureInfo.InvariantCulture, out number))
        {
            return false;
        }

        rest = rest[digits..];
        int letters = rest.IndexOfAnyInRange('0', '9');
        letters = letters < 0 ? rest.Length : letters;
        unit = rest[..letters].ToString();
        rest = rest[letters..];
        return true;
    }

    private static bool ParseText(string text, out string value, out string problem)
    {
        (value, problem) = (text, "must not be empty");
        return text.Length > 0;
    }

    private static bool ParsePath(string text, out string value, out string problem)
    {
        (value, problem) = (text, $"\"{text}\" is not an absolute path; begin it with /");
        return text is ['/', ..] && !text.Contains('\0', StringComparison.Ordinal);
    }

    private static bool ParseOptionalPath(string text, out string value, out string problem)
        => text.Length == 0 ? ParseNothing(out value, out problem) : ParsePath(text, out value, out problem);

    private static bool ParseEngineSocket(string text, out string value, out string problem)
    {
        if (text.StartsWith("tcp://", StringComparison.Ordinal) || text.StartsWith("http", StringComparison.Ordinal))
        {
            (value, problem) = ("", $"\"{text}\" is not a Unix socket; name the engine's local socket, its TCP listener is found from the daemon");
            return false;
        }

        return ParsePath(text.StartsWith("unix://", StringComparison.Ordinal) ? text["unix://".Length..] : text, out value, out problem);
    }

    private static bool ParseJsonLinesTarget(string text, out string value, out string problem)
    {
        if (text is "" or "-")
        {
            (value, problem) = (text, "");
            return true;
        }

        return ParsePath(text, out value, out problem);
    }

    private static bool ParseCollectorUrl(string text, out Uri? value, out string problem)
    {
        (value, problem) = (null, "");
        if (text.Length == 0)
        {
            return true;
        }

        if (Uri.TryCreate(text, UriKind.Absolute, out value) && value.Scheme is "https" or "http"
            && value.Host.Length > 0 && value.AbsolutePath == "/" && value.Query.Length == 0 && value.UserInfo.Length == 0)
        {
            return true;
        }

        problem = $"\"{text}\" is not a collector's address; write https://host:port (http:// only for tests on this host)";
        return false;
    }

    private static bool ParseBoolean(string text, out bool value, out string problem)
    {
        value = text is "true" or "True" or "TRUE";
        problem = $"\"{text}\" is not true or false";
        return value || text is "false" or "False" or "FALSE";
    }

    private static bool ParseMoment(string text, out DateTimeOffset value, out string problem)
    {
        problem = $"\"{text}\" is not a date; write 2027-03-31 or 2027-03-31T12:00:00Z";
        return DateTimeOffset.TryParseExact(
            text,
            ["yyyy-MM-dd", "yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK", "yyyy-MM-dd'T'HH:mmK"],
            CultureInfo.InvariantCulture,
            DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal,
            out value);
    }

    private static bool ParseNothing(out string value, out string problem)
    {
        (value, problem) = ("", "");
        return true;
    }
}
