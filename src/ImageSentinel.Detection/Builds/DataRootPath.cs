using System.Text;

namespace ImageSentinel.Detection.Builds;

public enum DataRootEntry
{
    None,

    /// <summary><c>tmp/docker-builder&lt;digits&gt;</c>: a classic build's unpacked context.</summary>
    ClassicContext,

    /// <summary>A file directly inside a classic context: its Dockerfile may be one of them.</summary>
    ClassicContextFile,

    /// <summary><c>buildkit/executor/&lt;id&gt;/config.json</c>.</summary>
    BundleConfig,

    /// <summary><c>containers/&lt;id&gt;/config.v2.json</c>, and <c>hostconfig.json</c> that the engine writes right after it.</summary>
    ContainerConfig,

    /// <summary><c>image/&lt;driver&gt;/imagedb/content/sha256/&lt;id&gt;</c>.</summary>
    ImageConfig,

    /// <summary><c>image/&lt;driver&gt;/repositories.json</c>.</summary>
    Repositories,

    /// <summary><c>overlay2/&lt;25 characters&gt;/diff/&lt;name&gt;</c>: files the daemon puts at a BuildKit snapshot's top,
    /// the Dockerfile among them.</summary>
    SnapshotFile,

    /// <summary><c>tmp/docker-import-&lt;digits&gt;</c>: an archive being loaded.</summary>
    LoadArchive,

    /// <summary><c>tmp/qemu-check&lt;digits&gt;</c>: BuildKit probes the platform when a client begins to build.</summary>
    PlatformProbe,
}

/// <summary>Recognises the paths under an engine's data root that tell something about builds.</summary>
public static class DataRootPath
{
    /// <param name="path">Relative to the data root.</param>
    /// <param name="id">The directory, container, image or step id, or the snapshot's directory name.</param>
    public static DataRootEntry Classify(ReadOnlySpan<byte> path, out string id)
    {
        id = "";
        if (path.StartsWith("tmp/"u8))
        {
            return Temporary(path[4..], out id);
        }

        if (path.StartsWith("buildkit/executor/"u8) && path.EndsWith("/config.json"u8))
        {
            ReadOnlySpan<byte> name = path["buildkit/executor/"u8.Length..^"/config.json"u8.Length];
            return BundlePath.IsStepId(name) ? Named(DataRootEntry.BundleConfig, name, out id) : DataRootEntry.None;
        }

        if (path.StartsWith("containers/"u8) && (path.EndsWith("/config.v2.json"u8) || path.EndsWith("/hostconfig.json"u8)))
        {
            ReadOnlySpan<byte> name = path["containers/"u8.Length..path.LastIndexOf((byte)'/')];
            return BundlePath.IsContainerId(name) ? Named(DataRootEntry.ContainerConfig, name, out id) : DataRootEntry.None;
        }

        if (path.StartsWith("image/"u8))
        {
            return Image(path["image/"u8.Length..], out id);
        }

        if (path.StartsWith("overlay2/"u8))
        {
            ReadOnlySpan<byte> rest = path["overlay2/"u8.Length..];
            if (rest.Length > 31 && BundlePath.IsStepId(rest[..25]) && rest[25..].StartsWith("/diff/"u8)
                && rest[31..].IndexOf((byte)'/') < 0)
            {
                return Named(DataRootEntry.SnapshotFile, rest[..25], out id);
            }
        }

        return DataRootEntry.None;
    }

    private static DataRootEntry Temporary(ReadOnlySpan<byte> rest, out string id)
    {
        id = "";
        int slash = rest.IndexOf((byte)'/');
        ReadOnlySpan<byte> first = slash < 0 ? rest : rest[..slash];
        if (first.StartsWith("docker-builder"u8))
        {
            if (slash < 0)
            {
                return Named(DataRootEntry.ClassicContext, first, out id);
            }

            return rest[(slash + 1)..].IndexOf((byte)'/') < 0
                ? Named(DataRootEntry.ClassicContextFile, first, out id)
                : DataRootEntry.None;
        }

        if (first.StartsWith("docker-import-"u8) && slash < 0)
        {
            return Named(DataRootEntry.LoadArchive, first, out id);
        }

        return first.StartsWith("qemu-check"u8) && slash < 0 ? Named(DataRootEntry.PlatformProbe, first, out id) : DataRootEntry.None;
    }

    private static DataRootEntry Image(ReadOnlySpan<byte> rest, out string id)
    {
        id = "";
        int slash = rest.IndexOf((byte)'/');
        if (slash < 0)
        {
            return DataRootEntry.None;
        }

        ReadOnlySpan<byte> entry = rest[(slash + 1)..];
        if (entry.SequenceEqual("repositories.json"u8))
        {
            return DataRootEntry.Repositories;
        }

        if (entry.StartsWith("imagedb/content/sha256/"u8))
        {
            ReadOnlySpan<byte> name = entry["imagedb/content/sha256/"u8.Length..];
            if (BundlePath.IsContainerId(name))
            {
                id = "sha256:" + Encoding.ASCII.GetString(name);
                return DataRootEntry.ImageConfig;
            }
        }

        return DataRootEntry.None;
    }

    private static DataRootEntry Named(DataRootEntry entry, ReadOnlySpan<byte> name, out string id)
    {
        id = Encoding.UTF8.GetString(name);
        return entry;
    }
}
