using System.Net;

namespace ImageSentinel.Agent.Uplink;

internal sealed record UplinkOptions
{
    public required Uri Url { get; init; }

    /// <summary>PEM roots that the collector's certificate must lead to; null trusts the system's.</summary>
    public string? Ca { get; init; }

    /// <summary>PEM: our certificate, then what leads from it to the root the collector trusts.</summary>
    public string? Certificate { get; init; }

    public string? Key { get; init; }

    /// <summary>How often an agent with nothing to send says that it lives.</summary>
    public TimeSpan HeartbeatEvery { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Every message is answered; an answer that takes longer means that nobody is there.</summary>
    public TimeSpan AnswerWithin { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The longest pause between two attempts.</summary>
    public TimeSpan MaximumPause { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a stop waits for the rest of the spool to be sent. What stays is sent after the next start.</summary>
    public TimeSpan DrainWithin { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>Null when the options can be used, otherwise what is wrong with them, in one line.</summary>
    public string? Problem()
    {
        if (ProblemOf(Url) is { } problem)
        {
            return $"outputs.collector.url: {problem}";
        }

        bool https = Url.Scheme == Uri.UriSchemeHttps;
        if ((Certificate is null) != (Key is null))
        {
            return "outputs.collector: cert and key belong together";
        }

        return !https && (Ca ?? Certificate) is not null ? "outputs.collector: ca, cert and key need an https:// url" : null;
    }

    /// <summary>Null when findings may be sent to that address, otherwise why not, in one line.</summary>
    public static string? ProblemOf(Uri url)
        => url.Scheme == Uri.UriSchemeHttps ? null
            : url.Scheme != Uri.UriSchemeHttp ? $"{url} must begin with https:// (http:// on this host only)"
            : IsLoopback(url) ? null
            : $"{url} would send findings readable by the network; use https://";

    private static bool IsLoopback(Uri url)
        => url.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
            || (IPAddress.TryParse(url.Host.Trim('[', ']'), out IPAddress? address) && IPAddress.IsLoopback(address));
}

/// <summary>How the agent stands with its collector.</summary>
/// <param name="Text">"connected", or why not, as <c>status</c> shows it.</param>
internal sealed record UplinkState(bool Connected, string Text, DateTimeOffset Since);
