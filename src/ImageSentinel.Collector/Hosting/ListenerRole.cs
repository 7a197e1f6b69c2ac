using System.Net;
using Microsoft.Data.Sqlite;

namespace ImageSentinel.Collector.Hosting;

/// <summary>What a listener is for. Set on the connection by the listener itself: a Host header proves nothing.</summary>
internal enum ListenerRole
{
    None,

    /// <summary>gRPC from agents.</summary>
    Agents,

    /// <summary>The page and the read API.</summary>
    Readers,
}

internal static class ListenerRoles
{
    private static readonly string[] LocalNames = ["localhost", "127.0.0.1", "[::1]"];

    /// <summary>Keeps each listener to its own endpoints, and sets the headers of everything that a browser may show.</summary>
    public static void UseListenerRoles(this WebApplication app, CollectorOptions options)
        => app.Use((context, next) =>
        {
            ListenerRole role = context.Features.Get<RoleFeature>()?.Role ?? ListenerRole.None;
            bool isGrpc = context.Request.ContentType?.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase) ?? false;
            if (isGrpc != (role == ListenerRole.Agents))
            {
                context.Response.StatusCode = StatusCodes.Status404NotFound;
                return Task.CompletedTask;
            }

            if (role == ListenerRole.Readers)
            {
                // Otherwise a page from elsewhere, whose name was made to point at 127.0.0.1, could read this one.
                if (options.Web is { IsLocal: true, SocketPath: null } && !IsKnownHost(context.Request.Host.Host, options))
                {
                    context.Response.StatusCode = StatusCodes.Status421MisdirectedRequest;
                    return context.Response.WriteAsync("unknown host name; see --web-host\n");
                }

                SetHeaders(context.Response.Headers);
            }

            return role == ListenerRole.Readers ? ReadAsync(context, next) : next(context);
        });

    private static async Task ReadAsync(HttpContext context, RequestDelegate next)
    {
        try
        {
            await next(context).ConfigureAwait(false);
        }
        catch (SqliteException error) when (!context.Response.HasStarted)
        {
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            await context.Response.WriteAsync($"the store cannot be read: {StartupException.OneLine(error.Message)}\n").ConfigureAwait(false);
        }
    }

    private static bool IsKnownHost(string host, CollectorOptions options)
        => LocalNames.Contains(host, StringComparer.OrdinalIgnoreCase)
            || options.WebHosts.Contains(host, StringComparer.OrdinalIgnoreCase)
            || (IPAddress.TryParse(host, out IPAddress? address) && IPAddress.IsLoopback(address));

    private static void SetHeaders(IHeaderDictionary headers)
    {
        headers.ContentSecurityPolicy =
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers.CacheControl = "no-store";
    }

    /// <summary>A connection feature is found by its type, which an enum cannot be.</summary>
    internal sealed record RoleFeature(ListenerRole Role);
}
