using System.Globalization;
using System.Text.Encodings.Web;
using Google.Protobuf.WellKnownTypes;
using ImageSentinel.Collector.Hosting;
using ImageSentinel.Collector.Store;
using ImageSentinel.V1;
using Microsoft.AspNetCore.Html;

namespace ImageSentinel.Collector.Web;

/// <summary>How values look on a page. Everything that came from a host passes through here.</summary>
internal static class Show
{
    public static IHtmlContent Text(string? text) => new VisibleText(text ?? "", keepLines: false, limit: 1500);

    /// <summary>For a place that keeps lines apart, as pre does.</summary>
    public static IHtmlContent Block(string? text) => new VisibleText(text ?? "", keepLines: true, limit: 20_000);

    /// <summary>For attributes and titles, where there can be no markup; the page encodes it.</summary>
    public static string Plain(string? text) => Visible.Of(text);

    public static IHtmlContent Time(Timestamp? time)
        => UnixMilliseconds.Of(time, long.MinValue) is > long.MinValue and var milliseconds
            ? Time(DateTimeOffset.FromUnixTimeMilliseconds(milliseconds))
            : Text("time unknown");

    public static IHtmlContent Time(DateTimeOffset time)
    {
        string iso = time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        return new HtmlString($"<time datetime=\"{iso}\">{iso}</time>");
    }

    public static IHtmlContent Badge(Severity severity) => Badge(Name(severity), severity switch
    {
        Severity.Critical or Severity.High => "bad",
        Severity.Medium => "warn",
        _ => "off",
    });

    public static IHtmlContent Badge(Build build, bool silent) => Badge(Story.Verdict(build, silent), build.Verdict switch
    {
        Verdict.Malicious or Verdict.Suspicious => "bad",
        Verdict.Unknown => "warn",
        Verdict.Clean => "good",
        _ => "off",
    });

    /// <param name="tone">One of good, warn, bad, off; never data.</param>
    public static IHtmlContent Badge(string text, string tone)
        => new HtmlString($"<span class=\"badge {tone}\">{HtmlEncoder.Default.Encode(Visible.Of(text))}</span>");

    public static string Name<T>(T value)
        where T : struct, System.Enum
        => value.ToString().ToLowerInvariant();

    public static string Word<T>(T value)
        where T : struct, System.Enum
        => Name(value) is "unspecified" ? "unknown" : Name(value);

    public static string Percent(double part)
        => double.IsFinite(part) ? string.Create(CultureInfo.InvariantCulture, $"{part:0%}") : "unknown";

    public static string FindingLink(string uid) => $"/findings/{Segment(uid)}";

    public static string BuildLink(string id) => $"/builds/{Segment(id)}";

    /// <summary>One segment of a path, whatever the text is.</summary>
    public static string Segment(string text) => Uri.EscapeDataString(text);
}
