using System.Text.Json;

namespace ImageSentinel.Docker;

/// <summary>What a daemon was told about its API, on its command line or in its configuration file.</summary>
/// <param name="Hosts">Where the API listens: <c>unix://…</c>, <c>tcp://…</c>, <c>fd://</c>; empty for the default socket.</param>
/// <param name="OtherPorts">Ports of listeners that are not the API (<c>metrics-addr</c>).</param>
/// <remarks>Source: dockerd(8). A flag given in both places keeps the daemon from starting, so the two are joined.</remarks>
public sealed record DaemonConfiguration(
    IReadOnlyList<string> Hosts,
    bool Tls,
    bool TlsVerify,
    IReadOnlyList<string> InsecureRegistries,
    IReadOnlyList<string> AuthorizationPlugins,
    IReadOnlyList<int> OtherPorts)
{
    public const string DefaultFile = "/etc/docker/daemon.json";

    private static readonly JsonDocumentOptions s_json = new() { MaxDepth = 32 };

    /// <summary>The file that a command line names.</summary>
    public static string FileOf(IReadOnlyList<string> arguments) => ValuesOf(arguments, "--config-file").LastOrDefault(DefaultFile);

    /// <param name="arguments">The daemon's command line.</param>
    /// <param name="file">Content of <see cref="FileOf"/>; empty when there is none or it could not be read.</param>
    public static DaemonConfiguration Parse(IReadOnlyList<string> arguments, ReadOnlyMemory<byte> file)
    {
        using JsonDocument? document = Read(file);
        JsonElement root = document?.RootElement ?? default;
        bool verify = IsSet(arguments, "--tlsverify") || Flag(root, "tlsverify");
        List<string> metrics = [.. ValuesOf(arguments, "--metrics-addr"), .. Texts(root, "metrics-addr")];
        return new DaemonConfiguration(
            [.. ValuesOf(arguments, "-H", "--host"), .. Texts(root, "hosts")],
            verify || IsSet(arguments, "--tls") || Flag(root, "tls"),
            verify,
            [.. ValuesOf(arguments, "--insecure-registry"), .. Texts(root, "insecure-registries")],
            [.. ValuesOf(arguments, "--authorization-plugin"), .. Texts(root, "authorization-plugins")],
            [.. metrics.Select(PortOf).Where(static p => p > 0)]);
    }

    /// <summary>Port of <c>tcp://host:port</c> or <c>host:port</c>; 0 when none is named.</summary>
    public static int PortOf(string host)
    {
        ArgumentNullException.ThrowIfNull(host);
        ReadOnlySpan<char> text = host.AsSpan();
        int scheme = text.IndexOf("://");
        text = scheme < 0 ? text : text[(scheme + 3)..];
        int slash = text.IndexOf('/');
        text = slash < 0 ? text : text[..slash];
        int colon = text.LastIndexOf(':');
        return colon >= 0 && int.TryParse(text[(colon + 1)..], out int port) ? port : 0;
    }

    /// <summary>All values of an option in a command line, written "--name value" or "--name=value".</summary>
    public static IReadOnlyList<string> ValuesOf(IReadOnlyList<string> arguments, params ReadOnlySpan<string> names)
    {
        ArgumentNullException.ThrowIfNull(arguments);
        var values = new List<string>();
        for (int i = 0; i < arguments.Count; i++)
        {
            foreach (string name in names)
            {
                if (arguments[i] == name && i + 1 < arguments.Count)
                {
                    values.Add(arguments[i + 1]);
                }
                else if (arguments[i].StartsWith(name + "=", StringComparison.Ordinal))
                {
                    values.Add(arguments[i][(name.Length + 1)..]);
                }
            }
        }

        return values;
    }

    private static bool IsSet(IReadOnlyList<string> arguments, string name)
        => arguments.Any(a => a == name || a == name + "=true" || a == name + "=1");

    private static JsonDocument? Read(ReadOnlyMemory<byte> file)
    {
        if (file.IsEmpty)
        {
            return null;
        }

        try
        {
            return JsonDocument.Parse(file, s_json);
        }
        catch (JsonException)
        {
            // The daemon would not have started with it; changed since, or not its file.
            return null;
        }
    }

    private static bool Flag(JsonElement root, string name)
        => root.ValueKind == JsonValueKind.Object && root.TryGetProperty(name, out JsonElement member) && member.ValueKind == JsonValueKind.True;

    private static IEnumerable<string> Texts(JsonElement root, string name)
    {
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty(name, out JsonElement member))
        {
            return [];
        }

        return member.ValueKind switch
        {
            JsonValueKind.String => [member.GetString()!],
            JsonValueKind.Array => [.. member.EnumerateArray().Where(static e => e.ValueKind == JsonValueKind.String).Select(static e => e.GetString()!)],
            _ => [],
        };
    }
}
