using System.Globalization;
using System.Text.Json;

namespace ImageSentinel.Docker;

/// <summary>A running container as the engine describes it.</summary>
/// <param name="Mounts">Host path and place in the container of each mount from the host.</param>
public sealed record RunningContainer(
    string Id,
    string Name,
    string Image,
    string User,
    bool Privileged,
    IReadOnlyList<string> Command,
    IReadOnlyList<(string Source, string Target)> Mounts);

/// <summary>What an engine says of its own set-up: GET /info, /containers/json, /containers/ID/json. Reads only.</summary>
/// <param name="ContainersBeyond">Running containers that were not asked about, beyond <see cref="MaximumContainers"/>.</param>
public sealed record EngineSetup(
    IReadOnlyList<string> SecurityOptions,
    IReadOnlyList<string> AuthorizationPlugins,
    IReadOnlyList<string> InsecureRegistries,
    IReadOnlyList<RunningContainer> Containers,
    int ContainersBeyond)
{
    public const int MaximumContainers = 256;

    /// <exception cref="EngineApiException">Nobody listens, it takes too long, or the answer is not an engine's.</exception>
    public static Task<EngineSetup> ReadAsync(string socketPath, CancellationToken cancellation)
        => EngineApi.WithEngineAsync(socketPath, client => ReadAsync(client, cancellation), cancellation);

    private static async Task<EngineSetup> ReadAsync(HttpClient client, CancellationToken cancellation)
    {
        using JsonDocument info = await EngineApi.GetAsync(client, "info", cancellation).ConfigureAwait(false);
        using JsonDocument list = await EngineApi.GetAsync(client, "containers/json", cancellation).ConfigureAwait(false);
        var containers = new List<RunningContainer>();
        int beyond = 0;
        foreach (JsonElement entry in Items(list.RootElement))
        {
            string id = EngineApi.Text(entry, "Id");
            if (id.Length == 0 || !id.All(char.IsAsciiLetterOrDigit))
            {
                continue;
            }

            if (containers.Count == MaximumContainers)
            {
                beyond++;
                continue;
            }

            try
            {
                using JsonDocument container = await EngineApi.GetAsync(client, string.Create(CultureInfo.InvariantCulture, $"containers/{id}/json"), cancellation)
                    .ConfigureAwait(false);
                containers.Add(Container(id, container.RootElement));
            }
            catch (EngineApiException)
            {
                // Gone since the list was made.
                continue;
            }
        }

        JsonElement root = info.RootElement;
        return new EngineSetup(
            [.. Strings(root, "SecurityOptions").Select(OptionName).Where(static n => n.Length > 0)],
            Strings(Member(root, "Plugins"), "Authorization"),
            InsecureOf(Member(root, "RegistryConfig")),
            containers,
            beyond);
    }

    private static RunningContainer Container(string id, JsonElement root)
    {
        JsonElement config = Member(root, "Config");
        return new RunningContainer(
            id,
            EngineApi.Text(root, "Name").TrimStart('/'),
            EngineApi.Text(config, "Image"),
            EngineApi.Text(config, "User"),
            Member(Member(root, "HostConfig"), "Privileged").ValueKind == JsonValueKind.True,
            [EngineApi.Text(root, "Path"), .. Strings(root, "Args")],
            [.. Items(Member(root, "Mounts")).Select(static m => (EngineApi.Text(m, "Source"), EngineApi.Text(m, "Destination"))).Where(static m => m.Item1.Length > 0)]);
    }

    // "name=seccomp,profile=builtin"; engines before 17.03 wrote the bare name.
    private static string OptionName(string option)
    {
        string first = option.Split(',')[0];
        return first.StartsWith("name=", StringComparison.Ordinal) ? first[5..] : first;
    }

    // Loopback is insecure on every engine and by design.
    private static List<string> InsecureOf(JsonElement registries)
    {
        List<string> insecure = [.. Strings(registries, "InsecureRegistryCIDRs").Where(static c => !c.StartsWith("127.", StringComparison.Ordinal) && !c.StartsWith("::1", StringComparison.Ordinal))];
        if (Member(registries, "IndexConfigs") is { ValueKind: JsonValueKind.Object } indexes)
        {
            insecure.AddRange(indexes.EnumerateObject()
                .Where(static i => Member(i.Value, "Secure").ValueKind == JsonValueKind.False)
                .Select(static i => i.Name));
        }

        return insecure;
    }

    private static JsonElement Member(JsonElement element, string name)
        => element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement member) ? member : default;

    private static IEnumerable<JsonElement> Items(JsonElement element)
        => element.ValueKind == JsonValueKind.Array ? element.EnumerateArray() : Enumerable.Empty<JsonElement>();

    private static List<string> Strings(JsonElement element, string name)
        => [.. Items(Member(element, name)).Where(static e => e.ValueKind == JsonValueKind.String).Select(static e => e.GetString()!)];
}
