using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Google.Protobuf;
using ImageSentinel.V1;

namespace ImageSentinel.Lab.Harness;

/// <summary>A collector on loopback with a database of its own, read through its JSON API as its users would.</summary>
internal sealed class CollectorUnderTest : IDisposable
{
    private static readonly JsonParser _parser = new(JsonParser.Settings.Default.WithIgnoreUnknownFields(true));

    private readonly HttpClient _http;
    private readonly string _state;
    private readonly Uri _web;
    private ProgramUnderTest? _program;

    public CollectorUnderTest(string state)
    {
        _state = state;
        Url = new Uri($"http://127.0.0.1:{FreePort()}");
        _web = new Uri($"http://127.0.0.1:{FreePort()}");
        _http = new HttpClient { BaseAddress = _web };
    }

    /// <summary>Where agents send to.</summary>
    public Uri Url { get; }

    public async Task StartAsync()
    {
        _program = new ProgramUnderTest(
            "imagesentinel-collector", "--listen", Url.OriginalString, "--web", _web.OriginalString, "--state", _state);
        await Wait.UntilAsync("the collector's page", AnswersAsync).ConfigureAwait(false);
    }

    public void Kill() => _program!.Kill();

    public int Stop() => _program!.Stop();

    public async Task<IReadOnlyList<Build>> BuildsAsync()
        => Read<Build>(await GetAsync("/api/v1/builds?limit=1000").ConfigureAwait(false), "builds");

    public async Task<IReadOnlyList<Finding>> FindingsAsync()
        => Read<Finding>(await GetAsync("/api/v1/findings?limit=1000").ConfigureAwait(false), "findings");

    public async Task<IReadOnlyList<Finding>> FindingsAsync(Build build)
        => Read<Finding>(await GetAsync($"/api/v1/builds/{Uri.EscapeDataString(build.Id)}").ConfigureAwait(false), "findings");

    public async Task<IReadOnlyList<Finding>> ActivitiesAsync(string uid)
        => Read<Finding>(await GetAsync($"/api/v1/findings/{Uri.EscapeDataString(uid)}").ConfigureAwait(false), "activities");

    /// <summary>Waits for the build that is recognised, and that it has ended.</summary>
    public Task<Build> EndedBuildAsync(string what, Func<Build, bool> isIt)
        => Wait.ForAsync(
            $"the end of the build {what}",
            async () => (await BuildsAsync().ConfigureAwait(false)).FirstOrDefault(build => build.State == BuildState.Ended && isIt(build)));

    /// <summary>Waits for what is said about an address. It may come after the build's end: whether a connected UDP socket
    /// sent anything is known only when its flow is.</summary>
    public Task<Finding> FindingAsync(Build build, string address)
        => Wait.ForAsync(
            $"a finding about {address}",
            async () => (await FindingsAsync(build).ConfigureAwait(false)).FirstOrDefault(finding => finding.Speaks(address)));

    public void Dispose()
    {
        _program?.Dispose();
        _http.Dispose();
    }

    private async Task<bool> AnswersAsync()
    {
        if (_program!.HasExited)
        {
            throw new AssertionException($"the collector ended:\n{_program.Printed}");
        }

        try
        {
            return (await _http.GetAsync("/readyz").ConfigureAwait(false)).IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private async Task<JsonElement> GetAsync(string path)
    {
        using JsonDocument document = JsonDocument.Parse(await _http.GetByteArrayAsync(path).ConfigureAwait(false));
        return document.RootElement.Clone();
    }

    private static List<T> Read<T>(JsonElement answer, string name)
        where T : IMessage<T>, new()
        => [.. answer.GetProperty(name).EnumerateArray().Select(element => _parser.Parse<T>(element.GetRawText()))];

    // Free a moment ago; the programs have no way to be asked which port they took.
    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
