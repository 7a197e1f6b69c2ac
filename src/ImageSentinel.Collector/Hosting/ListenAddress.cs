using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;

namespace ImageSentinel.Collector.Hosting;

/// <summary>Where a listener binds: <c>http://ADDRESS:PORT</c>, <c>https://ADDRESS:PORT</c> or <c>unix:/PATH</c>.</summary>
/// <remarks>Addresses only. A name would have to be resolved, and what it resolves to decides how exposed we are.</remarks>
internal sealed record ListenAddress
{
    private ListenAddress(IPEndPoint? endPoint, string? socketPath, bool tls)
    {
        EndPoint = endPoint;
        SocketPath = socketPath;
        Tls = tls;
    }

    public IPEndPoint? EndPoint { get; }

    public string? SocketPath { get; }

    public bool Tls { get; }

    /// <summary>True when only this host can reach the listener.</summary>
    public bool IsLocal => SocketPath is not null || IPAddress.IsLoopback(EndPoint!.Address);

    public ListenAddress WithTls() => new(EndPoint, SocketPath, tls: true);

    public static bool TryParse(string text, [NotNullWhen(true)] out ListenAddress? address, [NotNullWhen(false)] out string? error)
    {
        address = null;
        error = null;
        if (text.StartsWith("unix:", StringComparison.Ordinal))
        {
            string path = text["unix:".Length..];
            if (!Path.IsPathRooted(path))
            {
                error = $"'{text}': a socket needs an absolute path, like unix:/run/imagesentinel/collector.sock";
                return false;
            }

            address = new ListenAddress(null, path, tls: false);
            return true;
        }

        bool tls = text.StartsWith("https://", StringComparison.OrdinalIgnoreCase);
        if (!tls && !text.StartsWith("http://", StringComparison.OrdinalIgnoreCase))
        {
            error = $"'{text}': expected http://ADDRESS:PORT, https://ADDRESS:PORT or unix:/PATH";
            return false;
        }

        string authority = text[(text.IndexOf("://", StringComparison.Ordinal) + 3)..].TrimEnd('/');
        int colon = authority.LastIndexOf(':');
        if (colon <= 0
            || !ushort.TryParse(authority.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port))
        {
            error = $"'{text}': the port is missing, like http://127.0.0.1:4317";
            return false;
        }

        string host = authority[..colon];
        bool bracketed = host is ['[', .., ']'];
        IPAddress? parsed = host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
            ? IPAddress.Loopback
            : IPAddress.TryParse(bracketed ? host[1..^1] : host, out IPAddress? ip) ? ip : null;
        if (parsed is null || (parsed.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 && !bracketed))
        {
            error = $"'{text}': '{host}' is not an address; give the one to listen on (IPv6 in brackets), or localhost";
            return false;
        }

        address = new ListenAddress(new IPEndPoint(parsed, port), null, tls);
        return true;
    }

    public override string ToString()
        => SocketPath is null ? $"{(Tls ? "https" : "http")}://{EndPoint}" : $"unix:{SocketPath}";
}
