namespace ImageSentinel.Sensors.Fanotify;

/// <summary>What a directory is to us. Decided once per directory, so that an event costs one table look-up.</summary>
public enum DirectoryInterest : byte
{
    /// <summary>Nothing in it is forwarded.</summary>
    None,

    /// <summary>Every entry is forwarded, except the engine's temporary names (.tmp-…).</summary>
    Bookkeeping,

    /// <summary><c>tmp</c>: build contexts and imports, not the platform probes.</summary>
    Temporary,

    /// <summary><c>overlay2</c>: layers come and go.</summary>
    Layers,

    /// <summary><c>overlay2/ID/diff</c> of a BuildKit layer (25 characters): top-level files may be Dockerfile snapshots.</summary>
    BuildKitLayerTop,

    /// <summary>Inside a layer: forwarded only when layer files are asked for.</summary>
    LayerFiles,

    /// <summary><c>buildkit/executor/STEP</c>: bookkeeping, and its config.json is waited for.</summary>
    StepBundle,
}

/// <summary>Decides by path what leaves the sensor. Pure; the shape of a data root is dockerd's and BuildKit's.</summary>
/// <remarks>
/// Layout as dockerd 20.10 to 26.1 write it with the overlay2 driver. A path that nobody here knows is not forwarded.
/// Files inside layers are many (a package installation in a step touches tens of thousands): they are forwarded as they
/// are, counted by the core, and only the telling ones are ever opened.
/// </remarks>
public sealed class FileInterest(bool layerFiles)
{
    private const int BuildKitIdLength = 25;

    /// <summary>Judges a directory by its path relative to the data root ("" is the root itself).</summary>
    public static DirectoryInterest Judge(ReadOnlySpan<byte> directory)
    {
        ReadOnlySpan<byte> rest = directory;
        ReadOnlySpan<byte> first = Take(ref rest);
        if (first.IsEmpty)
        {
            return DirectoryInterest.Bookkeeping;
        }

        return first switch
        {
            _ when first.SequenceEqual("tmp"u8) => JudgeTemporary(rest),
            _ when first.SequenceEqual("overlay2"u8) => JudgeLayers(rest),
            _ when first.SequenceEqual("containers"u8) => Depth(rest) <= 1 ? DirectoryInterest.Bookkeeping : DirectoryInterest.None,
            _ when first.SequenceEqual("image"u8) => JudgeImages(rest),
            _ when first.SequenceEqual("buildkit"u8) => JudgeBuildKit(rest),
            _ => DirectoryInterest.None,
        };
    }

    /// <summary>Whether an event on <paramref name="name"/> in a directory so judged is forwarded.</summary>
    public bool Wants(DirectoryInterest interest, ReadOnlySpan<byte> name, ulong mask)
    {
        bool isDirectory = (mask & FileEventMask.OnDirectory) != 0;
        return interest switch
        {
            DirectoryInterest.Bookkeeping or DirectoryInterest.StepBundle => !name.StartsWith(".tmp-"u8),
            DirectoryInterest.Temporary => name.StartsWith("docker-builder"u8)
                || name.StartsWith("docker-import-"u8)
                || name.StartsWith("buildkit-mount"u8)
                || name.StartsWith("imagesentinel-"u8), // the self-test's
            DirectoryInterest.Layers => isDirectory,
            DirectoryInterest.BuildKitLayerTop => !isDirectory,
            DirectoryInterest.LayerFiles => layerFiles && !isDirectory,
            _ => false,
        };
    }

    private static DirectoryInterest JudgeTemporary(ReadOnlySpan<byte> rest)
    {
        ReadOnlySpan<byte> name = Take(ref rest);
        if (name.IsEmpty)
        {
            return DirectoryInterest.Temporary;
        }

        // The context's own top level, where the Dockerfile usually is; a context may hold a whole source tree below.
        return rest.IsEmpty && name.StartsWith("docker-builder"u8) ? DirectoryInterest.Bookkeeping : DirectoryInterest.None;
    }

    private static DirectoryInterest JudgeLayers(ReadOnlySpan<byte> rest)
    {
        ReadOnlySpan<byte> id = Take(ref rest);
        if (id.IsEmpty)
        {
            return DirectoryInterest.Layers;
        }

        ReadOnlySpan<byte> part = Take(ref rest);
        if (part.IsEmpty)
        {
            return id.SequenceEqual("l"u8) ? DirectoryInterest.None : DirectoryInterest.Bookkeeping;
        }

        // "work" and "merged" repeat what "diff" shows.
        if (!part.SequenceEqual("diff"u8))
        {
            return DirectoryInterest.None;
        }

        return rest.IsEmpty && id.Length == BuildKitIdLength ? DirectoryInterest.BuildKitLayerTop : DirectoryInterest.LayerFiles;
    }

    private static DirectoryInterest JudgeImages(ReadOnlySpan<byte> rest)
    {
        // image/DRIVER holds repositories.json.
        ReadOnlySpan<byte> driver = Take(ref rest);
        if (driver.IsEmpty || rest.IsEmpty)
        {
            return DirectoryInterest.Bookkeeping;
        }

        ReadOnlySpan<byte> store = Take(ref rest);
        if (store.SequenceEqual("imagedb"u8))
        {
            return DirectoryInterest.Bookkeeping;
        }

        // layerdb/mounts/CONTAINER, layerdb/sha256/CHAIN; layerdb/tmp is moved from there when complete.
        if (store.SequenceEqual("layerdb"u8))
        {
            return Take(ref rest).SequenceEqual("tmp"u8) ? DirectoryInterest.None : DirectoryInterest.Bookkeeping;
        }

        return DirectoryInterest.None;
    }

    private static DirectoryInterest JudgeBuildKit(ReadOnlySpan<byte> rest)
    {
        ReadOnlySpan<byte> part = Take(ref rest);
        if (part.SequenceEqual("executor"u8))
        {
            return Depth(rest) switch
            {
                0 => DirectoryInterest.Bookkeeping,
                1 => DirectoryInterest.StepBundle,
                _ => DirectoryInterest.None,
            };
        }

        if (part.SequenceEqual("net"u8))
        {
            return Depth(rest) == 0 ? DirectoryInterest.Bookkeeping : DirectoryInterest.None;
        }

        // content/blobs/sha256/DIGEST: manifests and configs of pulled bases, provenance of built images.
        return part.SequenceEqual("content"u8) && rest.StartsWith("blobs"u8) ? DirectoryInterest.Bookkeeping : DirectoryInterest.None;
    }

    private static ReadOnlySpan<byte> Take(ref ReadOnlySpan<byte> path)
    {
        int slash = path.IndexOf((byte)'/');
        ReadOnlySpan<byte> first = slash < 0 ? path : path[..slash];
        path = slash < 0 ? default : path[(slash + 1)..];
        return first;
    }

    private static int Depth(ReadOnlySpan<byte> path) => path.IsEmpty ? 0 : path.Count((byte)'/') + 1;
}
