using Microsoft.AspNetCore.Http.Features;

namespace ImageSentinel.Collector.Api;

/// <summary>The last segment of the path as the caller meant it.</summary>
/// <remarks>The server leaves <c>%2F</c> alone and decodes the rest, so a route value cannot tell an encoded slash
/// from the text "%2F". Ids are chosen by others; what was sent is decoded once.</remarks>
internal static class RouteSegment
{
    public static string Last(HttpContext context)
    {
        ReadOnlySpan<char> target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        int query = target.IndexOf('?');
        ReadOnlySpan<char> path = query < 0 ? target : target[..query];
        return Uri.UnescapeDataString(path[(path.LastIndexOf('/') + 1)..]);
    }
}
