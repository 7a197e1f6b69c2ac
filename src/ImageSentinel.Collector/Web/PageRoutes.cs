using System.Reflection;
using ImageSentinel.Collector.Api;
using ImageSentinel.Collector.Hosting;
using ImageSentinel.Collector.Store;
using ImageSentinel.Collector.Web.Pages;
using ImageSentinel.V1;

namespace ImageSentinel.Collector.Web;

/// <summary>The pages for people. They read what the read API reads, and need no script.</summary>
internal static class PageRoutes
{
    private const int Rows = 100;

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/", Index);
        routes.MapGet("/builds/{id}", Build);
        routes.MapGet("/findings/{uid}", Finding);
        Asset(routes, "page.css", "text/css; charset=utf-8");
        Asset(routes, "live.js", "text/javascript; charset=utf-8");
    }

    private static Task Index(HttpContext context)
    {
        RecordReader reader = Reader(context);
        string host = context.Request.Query["host"].ToString();
        string severity = Choice(context, "severity", IndexModel.Severities);
        string verdict = Choice(context, "verdict", IndexModel.Verdicts);
        ReadApi.TrySeverity(severity, out Severity atLeast);
        Verdict only = System.Enum.TryParse(verdict, ignoreCase: true, out Verdict parsed) ? parsed : Verdict.Unspecified;
        List<Build> builds = reader.Builds(Rows, host: host.Length > 0 ? host : null, verdict: only);
        return Render(context, IndexPage.Create(new IndexModel(
            builds,
            reader.Findings(Rows, atLeast, host: host.Length > 0 ? host : null),
            reader.FindingsPerBuild(builds.Select(build => build.Id)),
            reader.Hosts(1000),
            host,
            severity,
            verdict,
            context.RequestServices.GetRequiredService<RecordStore>().Failure,
            reader.Counter(Retention.RemovedCounter),
            Options(context).SilentAfter,
            Now(context))));
    }

    private static Task Build(HttpContext context)
    {
        RecordReader reader = Reader(context);
        if (reader.Build(RouteSegment.Last(context)) is not { } build)
        {
            return Missing(context);
        }

        List<Finding> findings = [.. reader.Findings(Rows, buildId: build.Id).OrderByDescending(finding => finding.Severity)];
        HostState? host = reader.Hosts().FirstOrDefault(each => each.Host.HostId == build.Host?.HostId);
        bool silent = host is not null && Now(context) - host.LastSeen > Options(context).SilentAfter;
        return Render(context, BuildPage.Create(new BuildModel(build, findings, silent, Now(context))));
    }

    private static Task Finding(HttpContext context)
    {
        RecordReader reader = Reader(context);
        if (reader.Finding(RouteSegment.Last(context)) is not { } finding)
        {
            return Missing(context);
        }

        Build? build = finding.BuildId.Length > 0 ? reader.Build(finding.BuildId) : null;
        List<Finding> related = finding.BuildId.Length > 0
            ? [.. reader.Findings(Rows, buildId: finding.BuildId).Where(other => other.Uid != finding.Uid).OrderByDescending(other => other.Severity)]
            : [];
        return Render(context, FindingPage.Create(new FindingModel(finding, build, reader.Activities(finding.Uid), related, Now(context))));
    }

    private static Task Missing(HttpContext context)
    {
        RazorSlices.RazorSlice page = MissingPage.Create(new FrameModel("Not here", Now(context)));
        page.StatusCode = StatusCodes.Status404NotFound;
        return Render(context, page);
    }

    private static Task Render(HttpContext context, IResult page) => page.ExecuteAsync(context);

    // Embedded, so that the program is one file and serves nothing but what was built into it.
    private static void Asset(IEndpointRouteBuilder routes, string name, string type)
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"{name} was not embedded");
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        routes.MapGet($"/assets/{name}", context =>
        {
            context.Response.ContentType = type;
            return context.Response.Body.WriteAsync(bytes).AsTask();
        });
    }

    private static string Choice(HttpContext context, string name, IReadOnlyList<string> allowed)
        => context.Request.Query[name] is [{ } given] && allowed.Contains(given) ? given : allowed[0];

    private static RecordReader Reader(HttpContext context) => context.RequestServices.GetRequiredService<RecordReader>();

    private static CollectorOptions Options(HttpContext context) => context.RequestServices.GetRequiredService<CollectorOptions>();

    private static DateTimeOffset Now(HttpContext context) => context.RequestServices.GetRequiredService<TimeProvider>().GetUtcNow();
}
