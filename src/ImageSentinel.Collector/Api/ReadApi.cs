using System.Globalization;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Google.Protobuf;
using ImageSentinel.Collector.Hosting;
using ImageSentinel.Collector.Store;
using ImageSentinel.V1;

namespace ImageSentinel.Collector.Api;

/// <summary>The read API: proto3 JSON of the records in a small envelope, newest first.</summary>
internal static class ReadApi
{
    private const int DefaultLimit = 100;
    private const int MaximumLimit = 1000;

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/healthz", context => context.Response.WriteAsync("ok\n"));
        routes.MapGet("/readyz", Ready);
        routes.MapGet("/api/v1/builds", Builds);
        routes.MapGet("/api/v1/builds/{id}", Build);
        routes.MapGet("/api/v1/findings", Findings);
        routes.MapGet("/api/v1/findings/{uid}", Finding);
        routes.MapGet("/api/v1/hosts", Hosts);
        routes.MapGet("/api/v1/stream", Stream);
    }

    private static Task Ready(HttpContext context)
    {
        if (context.RequestServices.GetRequiredService<RecordStore>().Failure is not { } failure)
        {
            return context.Response.WriteAsync("ok\n");
        }

        context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        return context.Response.WriteAsync($"nothing can be stored: {failure}\n");
    }

    private static Task Builds(HttpContext context)
    {
        if (!TryQuery(context, out int limit, out DateTimeOffset? since, out string? problem))
        {
            return Bad(context, problem!);
        }

        Listing<Build> builds = Reader(context).Builds(limit, since, Text(context, "host"));
        return Write(context, json => WriteArray(json, "builds", builds));
    }

    private static Task Build(HttpContext context)
    {
        RecordReader reader = Reader(context);
        if (reader.Build(RouteSegment.Last(context)) is not { } build)
        {
            return Missing(context, "no such build");
        }

        Listing<Finding> findings = reader.Findings(MaximumLimit, buildId: build.Id);
        return Write(context, json =>
        {
            WriteMessage(json, "build", build);
            WriteArray(json, "findings", findings);
        });
    }

    private static Task Findings(HttpContext context)
    {
        if (!TryQuery(context, out int limit, out DateTimeOffset? since, out string? problem))
        {
            return Bad(context, problem!);
        }

        if (!TrySeverity(Text(context, "severity"), out Severity severity))
        {
            return Bad(context, "severity: expected informational, low, medium, high or critical");
        }

        Listing<Finding> findings = Reader(context).Findings(limit, severity, Text(context, "build"), since, Text(context, "host"));
        return Write(context, json => WriteArray(json, "findings", findings));
    }

    private static Task Finding(HttpContext context)
    {
        RecordReader reader = Reader(context);
        if (reader.Finding(RouteSegment.Last(context)) is not { } finding)
        {
            return Missing(context, "no such finding");
        }

        Build? build = finding.BuildId.Length > 0 ? reader.Build(finding.BuildId) : null;
        Listing<Finding> activities = reader.Activities(finding.Uid);
        return Write(context, json =>
        {
            WriteMessage(json, "finding", finding);
            if (build is not null)
            {
                WriteMessage(json, "build", build);
            }

            WriteArray(json, "activities", activities);
        });
    }

    private static Task Hosts(HttpContext context)
    {
        TimeProvider time = context.RequestServices.GetRequiredService<TimeProvider>();
        TimeSpan silentAfter = context.RequestServices.GetRequiredService<CollectorOptions>().SilentAfter;
        List<HostState> hosts = Reader(context).Hosts();
        return Write(context, json =>
        {
            json.WriteStartArray("hosts");
            foreach (HostState state in hosts)
            {
                json.WriteStartObject();
                WriteMessage(json, "host", state.Host);
                json.WriteString("state", time.GetUtcNow() - state.LastSeen > silentAfter ? "silent" : "live");
                json.WriteString("firstSeen", state.FirstSeen.UtcDateTime);
                json.WriteString("lastSeen", state.LastSeen.UtcDateTime);
                if (state.Coverage is not null)
                {
                    WriteMessage(json, "coverage", state.Coverage);
                }

                if (state.Certificate is not null)
                {
                    json.WriteString("certificate", state.Certificate);
                }

                // 64-bit numbers are strings in proto3 JSON; so here.
                json.WriteString("spoolGivenUp", state.GivenUp.ToString(CultureInfo.InvariantCulture));
                json.WriteString("unknownRecords", state.UnknownRecords.ToString(CultureInfo.InvariantCulture));
                json.WriteEndObject();
            }

            json.WriteEndArray();
        });
    }

    private static Task Stream(HttpContext context)
    {
        var ended = CancellationTokenSource.CreateLinkedTokenSource(
            context.RequestAborted, context.RequestServices.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping);
        context.Response.RegisterForDispose(ended);
        CancellationToken stop = ended.Token;
        if (context.RequestServices.GetRequiredService<RecordFeed>().TryWatch(stop) is not { } feed)
        {
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            return context.Response.WriteAsync("too many watchers\n", stop);
        }

        return TypedResults.ServerSentEvents(Events(feed, stop)).ExecuteAsync(context);
    }

    private static async IAsyncEnumerable<SseItem<string>> Events(IAsyncEnumerable<FeedItem> feed, [EnumeratorCancellation] CancellationToken stop)
    {
        // The first event tells a watcher that it is connected, and makes every proxy pass the headers on.
        yield return new SseItem<string>("{}", "hello") { ReconnectionInterval = TimeSpan.FromSeconds(3) };
        await foreach (FeedItem item in feed.WithCancellation(stop).ConfigureAwait(false))
        {
            if (item.Lost > 0)
            {
                yield return new SseItem<string>(string.Create(CultureInfo.InvariantCulture, $"{{\"lost\":{item.Lost}}}"), "lost");
            }

            OutputRecord record = item.Stored.Record;
            yield return new SseItem<string>(JsonFormatter.Default.Format(record), record.PayloadCase.ToString().ToLowerInvariant());
        }
    }

    private static async Task Write(HttpContext context, Action<Utf8JsonWriter> body)
    {
        context.Response.ContentType = "application/json; charset=utf-8";
        var json = new Utf8JsonWriter(context.Response.BodyWriter);
        await using (json.ConfigureAwait(false))
        {
            json.WriteStartObject();
            body(json);
            json.WriteEndObject();
            await json.FlushAsync(context.RequestAborted).ConfigureAwait(false);
        }
    }

    private static void WriteArray<T>(Utf8JsonWriter json, string name, Listing<T> messages)
        where T : IMessage
    {
        if (messages.Truncated)
        {
            json.WriteBoolean("truncated", true);
        }

        json.WriteStartArray(name);
        foreach (T message in messages)
        {
            json.WriteRawValue(JsonFormatter.Default.Format(message), skipInputValidation: true);
        }

        json.WriteEndArray();
    }

    private static void WriteMessage(Utf8JsonWriter json, string name, IMessage message)
    {
        json.WritePropertyName(name);
        json.WriteRawValue(JsonFormatter.Default.Format(message), skipInputValidation: true);
    }

    private static Task Bad(HttpContext context, string problem)
    {
        context.Response.StatusCode = StatusCodes.Status400BadRequest;
        return Write(context, json => json.WriteString("error", problem));
    }

    private static Task Missing(HttpContext context, string problem)
    {
        context.Response.StatusCode = StatusCodes.Status404NotFound;
        return Write(context, json => json.WriteString("error", problem));
    }

    private static bool TryQuery(HttpContext context, out int limit, out DateTimeOffset? since, out string? problem)
    {
        limit = DefaultLimit;
        since = null;
        problem = null;
        if (Text(context, "limit") is { } limitText
            && (!int.TryParse(limitText, NumberStyles.None, CultureInfo.InvariantCulture, out limit) || limit is 0 or > MaximumLimit))
        {
            problem = $"limit: expected 1 to {MaximumLimit}";
        }
        else if (Text(context, "since") is { } sinceText)
        {
            if (DateTimeOffset.TryParse(sinceText, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset moment))
            {
                since = moment;
            }
            else
            {
                problem = "since: expected a time like 2026-11-22T03:04:05Z";
            }
        }

        return problem is null;
    }

    internal static bool TrySeverity(string? text, out Severity severity)
    {
        severity = Severity.Unspecified;
        return text is null || (Enum.TryParse(text.Replace("SEVERITY_", "", StringComparison.OrdinalIgnoreCase), ignoreCase: true, out severity)
            && Enum.IsDefined(severity) && !char.IsAsciiDigit(text[0]));
    }

    private static string? Text(HttpContext context, string name)
        => context.Request.Query[name] is [{ Length: > 0 } value] ? value : null;

    private static RecordReader Reader(HttpContext context) => context.RequestServices.GetRequiredService<RecordReader>();
}
