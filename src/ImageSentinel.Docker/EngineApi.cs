using System.Net.Sockets;
using System.Text.Json;

namespace ImageSentinel.Docker;

/// <summary>What an engine says of itself.</summary>
public sealed record EngineInfo(string Version, string ApiVersion, string DataRoot, string StorageDriver, IReadOnlyList<string> Runtimes);

/// <summary>Asked a socket, got no engine.</summary>
public sealed class EngineApiException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>The read-only calls of the Engine API that the agent makes: at start, when the daemon was replaced, and now and
/// then for its set-up (<see cref="EngineSetup"/>). Never on the way to a finding.</summary>
/// <remarks>Source: Docker Engine API. HttpClient over the socket: no SDK links under AOT.</remarks>
public static class EngineApi
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <exception cref="EngineApiException">Nobody listens, it takes too long, or the answer is not an engine's.</exception>
    public static Task<EngineInfo> AskAsync(string socketPath, CancellationToken cancellation)
        => WithEngineAsync(socketPath, client => AskAsync(client, cancellation), cancellation);

    /// <summary>Connects, asks, and says in words what went wrong.</summary>
    internal static async Task<T> WithEngineAsync<T>(string socketPath, Func<HttpClient, Task<T>> ask, CancellationToken cancellation)
    {
        using var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, token) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                try
                {
                    await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), token).ConfigureAwait(false);
                    return new NetworkStream(socket, ownsSocket: true);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            },
        };
        using var client = new HttpClient(handler)
        {
            BaseAddress = new Uri("http://engine/"),
            Timeout = Patience,
            MaxResponseContentBufferSize = 4 << 20,
        };
        try
        {
            return await ask(client).ConfigureAwait(false);
        }
        catch (HttpRequestException e) when (e.InnerException is SocketException socket)
        {
            throw new EngineApiException(
                socket.SocketErrorCode switch
                {
                    SocketError.ConnectionRefused => "nobody listens there",
                    SocketError.AddressNotAvailable => "there is no such socket",
                    SocketError.AccessDenied => "permission denied",
                    _ => socket.Message,
                },
                e);
        }
        catch (HttpRequestException e)
        {
            throw new EngineApiException("what answers there does not speak the Docker API", e);
        }
        catch (JsonException e)
        {
            throw new EngineApiException("what answers there is not a Docker engine", e);
        }
        catch (TaskCanceledException e) when (!cancellation.IsCancellationRequested)
        {
            throw new EngineApiException($"no answer within {Patience.TotalSeconds:0} s", e);
        }
    }

    private static async Task<EngineInfo> AskAsync(HttpClient client, CancellationToken cancellation)
    {
        using JsonDocument version = await GetAsync(client, "version", cancellation).ConfigureAwait(false);
        using JsonDocument info = await GetAsync(client, "info", cancellation).ConfigureAwait(false);
        string dataRoot = Text(info.RootElement, "DockerRootDir");
        if (dataRoot.Length == 0 || Text(version.RootElement, "ApiVersion").Length == 0)
        {
            throw new EngineApiException("what answers there is not a Docker engine");
        }

        List<string> runtimes = info.RootElement.TryGetProperty("Runtimes", out JsonElement r) && r.ValueKind == JsonValueKind.Object
            ? [.. r.EnumerateObject().Select(static p => p.Name)]
            : [];
        return new EngineInfo(
            Text(version.RootElement, "Version"),
            Text(version.RootElement, "ApiVersion"),
            dataRoot.TrimEnd('/'),
            Text(info.RootElement, "Driver"),
            runtimes);
    }

    internal static async Task<JsonDocument> GetAsync(HttpClient client, string path, CancellationToken cancellation)
    {
        using HttpResponseMessage response = await client.GetAsync(new Uri(path, UriKind.Relative), cancellation).ConfigureAwait(false);
        if (!response.IsSuccessStatusCode)
        {
            throw new EngineApiException($"GET /{path} was answered with {(int)response.StatusCode}");
        }

        byte[] body = await response.Content.ReadAsByteArrayAsync(cancellation).ConfigureAwait(false);
        return JsonDocument.Parse(body);
    }

    internal static string Text(JsonElement element, string name)
        => element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement member) && member.ValueKind == JsonValueKind.String
            ? member.GetString() ?? ""
            : "";
}
