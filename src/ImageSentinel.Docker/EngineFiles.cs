using System.Text.Json;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Text;

namespace ImageSentinel.Docker;

/// <summary>Reads what an engine writes to its data root. Bytes in, facts out; secrets are removed on the way.</summary>
/// <remarks>Shapes measured on Docker 20.10 and 26.1. Unknown members are ignored; a file that is not what its place
/// promises gives null.</remarks>
public static class EngineFiles
{
    private static readonly JsonDocumentOptions Options = new() { MaxDepth = 64 };

    /// <summary><c>buildkit/executor/&lt;id&gt;/config.json</c>, an OCI runtime bundle.</summary>
    public static BundleFact? Bundle(ReadOnlyMemory<byte> json, int engine, string stepId, string bundle, string layer)
    {
        using JsonDocument? document = Parse(json);
        if (document is null || Member(document.RootElement, "process") is not { ValueKind: JsonValueKind.Object } process)
        {
            return null;
        }

        JsonElement root = document.RootElement;
        List<string> args = Strings(process, "args");
        string session = "";
        bool frontend = false;
        foreach (string variable in Strings(process, "env"))
        {
            if (variable.StartsWith("BUILDKIT_SESSION_ID=", StringComparison.Ordinal))
            {
                session = variable["BUILDKIT_SESSION_ID=".Length..];
            }

            frontend |= variable.StartsWith("BUILDKIT_FRONTEND_OPT_", StringComparison.Ordinal);
        }

        bool ownNetwork = false;
        JsonElement linux = Member(root, "linux");
        if (Member(linux, "namespaces") is { ValueKind: JsonValueKind.Array } namespaces)
        {
            foreach (JsonElement space in namespaces.EnumerateArray())
            {
                ownNetwork |= Text(space, "type") == "network";
            }
        }

        bool hook = Member(Member(root, "hooks"), "prestart") is { ValueKind: JsonValueKind.Array } prestart && prestart.GetArrayLength() > 0;
        return new BundleFact(
            engine,
            stepId,
            bundle,
            Redactor.RedactArguments(args),
            Text(process, "cwd"),
            ownNetwork,
            hook,
            Text(linux, "cgroupsPath"),
            session,
            frontend,
            layer);
    }

    /// <summary><c>containers/&lt;id&gt;/config.v2.json</c> and <c>hostconfig.json</c> (may be empty).</summary>
    public static ContainerFact? Container(ReadOnlyMemory<byte> config, ReadOnlyMemory<byte> hostConfig, int engine, string containerId, string layer)
    {
        using JsonDocument? document = Parse(config);
        if (document is null || Member(document.RootElement, "Config") is not { ValueKind: JsonValueKind.Object } inner)
        {
            return null;
        }

        JsonElement root = document.RootElement;
        using JsonDocument? host = Parse(hostConfig);
        JsonElement hostRoot = host?.RootElement ?? default;
        JsonElement state = Member(root, "State");
        string finished = Text(state, "FinishedAt");
        bool isFinished = finished.Length > 0 && !finished.StartsWith("0001", StringComparison.Ordinal);
        return new ContainerFact(
            engine,
            containerId,
            Text(inner, "Image"),
            Text(root, "Image"),
            Redactor.RedactArguments([.. Strings(inner, "Entrypoint"), .. Strings(inner, "Cmd")]),
            Text(root, "Name").TrimStart('/'),
            Flag(inner, "AttachStdout") || Flag(inner, "AttachStdin") || Flag(inner, "Tty") || Flag(inner, "OpenStdin"),
            Text(root, "LogPath"),
            Text(Member(hostRoot, "LogConfig"), "Type"),
            Text(hostRoot, "NetworkMode"),
            Flag(hostRoot, "Privileged"),
            Text(hostRoot, "PidMode"),
            Text(Member(hostRoot, "RestartPolicy"), "Name"),
            [.. Strings(hostRoot, "Binds").Concat(BindMounts(hostRoot))],
            layer,
            Flag(state, "Running"),
            isFinished,
            Member(state, "ExitCode") is { ValueKind: JsonValueKind.Number } code && code.TryGetInt32(out int value) ? value : null,
            Strings(hostRoot, "CapAdd"));
    }

    // What "--mount type=bind" asks for, in the form of "-v".
    private static IEnumerable<string> BindMounts(JsonElement host)
    {
        if (Member(host, "Mounts") is not { ValueKind: JsonValueKind.Array } mounts)
        {
            yield break;
        }

        foreach (JsonElement mount in mounts.EnumerateArray())
        {
            if (Text(mount, "Type") == "bind")
            {
                yield return $"{Text(mount, "Source")}:{Text(mount, "Target")}";
            }
        }
    }

    /// <summary><c>imagedb/content/sha256/&lt;id&gt;</c>; the layers are looked up by the caller from <paramref name="diffIds"/>.</summary>
    public static ImageFact? Image(ReadOnlyMemory<byte> json, int engine, string imageId, string parent, out IReadOnlyList<string> diffIds)
    {
        diffIds = [];
        using JsonDocument? document = Parse(json);
        if (document is null)
        {
            return null;
        }

        JsonElement root = document.RootElement;
        diffIds = Strings(Member(root, "rootfs"), "diff_ids");
        var history = new List<ImageHistory>();
        if (Member(root, "history") is { ValueKind: JsonValueKind.Array } lines)
        {
            foreach (JsonElement line in lines.EnumerateArray())
            {
                history.Add(new ImageHistory(Redactor.Redact(Text(line, "created_by")), Text(line, "comment"), Flag(line, "empty_layer")));
            }
        }

        return new ImageFact(engine, imageId, Text(root, "container"), parent, [], history);
    }

    /// <summary><c>image/&lt;driver&gt;/repositories.json</c>.</summary>
    public static TagsFact? Tags(ReadOnlyMemory<byte> json, int engine)
    {
        using JsonDocument? document = Parse(json);
        if (document is null || Member(document.RootElement, "Repositories") is not { ValueKind: JsonValueKind.Object } repositories)
        {
            return null;
        }

        var tags = new List<ImageTag>();
        foreach (JsonProperty repository in repositories.EnumerateObject())
        {
            if (repository.Value.ValueKind != JsonValueKind.Object)
            {
                continue;
            }

            foreach (JsonProperty reference in repository.Value.EnumerateObject())
            {
                tags.Add(new ImageTag(NameOf(reference), Value(reference.Value)));
            }
        }

        return new TagsFact(engine, tags);
    }

    /// <summary><c>&lt;driver&gt;-images/images.json</c> of a containers/storage store: the image that has one of the names.</summary>
    public static StoreImageFact? StoreImage(ReadOnlyMemory<byte> json, string buildId, IReadOnlyList<string> names)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json, Options);
            if (document.RootElement.ValueKind != JsonValueKind.Array)
            {
                return null;
            }

            foreach (JsonElement image in document.RootElement.EnumerateArray())
            {
                List<string> own = Strings(image, "names");
                if (own.Any(names.Contains) && Text(image, "id") is { Length: 64 } id)
                {
                    return new StoreImageFact(buildId, "sha256:" + id, own);
                }
            }
        }
        catch (JsonException)
        {
            // Half-written, or not what its place promises.
            return null;
        }

        return null;
    }

    private static JsonDocument? Parse(ReadOnlyMemory<byte> json)
    {
        if (json.IsEmpty)
        {
            return null;
        }

        try
        {
            JsonDocument document = JsonDocument.Parse(json, Options);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
            {
                return document;
            }

            document.Dispose();
            return null;
        }
        catch (JsonException)
        {
            // Half-written, or not what its place promises.
            return null;
        }
    }

    private static JsonElement Member(JsonElement element, string name)
        => element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement member) ? member : default;

    private static string Text(JsonElement element, string name)
        => Value(Member(element, name));

    // A lone surrogate is valid JSON and no text: such a string is none.
    private static string Value(JsonElement element)
    {
        try
        {
            return element.ValueKind == JsonValueKind.String ? element.GetString() ?? "" : "";
        }
        catch (InvalidOperationException)
        {
            return "";
        }
    }

    private static string NameOf(JsonProperty property)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException)
        {
            return "";
        }
    }

    private static bool Flag(JsonElement element, string name) => Member(element, name).ValueKind == JsonValueKind.True;

    private static List<string> Strings(JsonElement element, string name)
    {
        var strings = new List<string>();
        if (Member(element, name) is { ValueKind: JsonValueKind.Array } array)
        {
            foreach (JsonElement item in array.EnumerateArray())
            {
                if (item.ValueKind == JsonValueKind.String)
                {
                    strings.Add(Value(item));
                }
            }
        }

        return strings;
    }
}
