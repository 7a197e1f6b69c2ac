using System.Text;

namespace ImageSentinel.Detection.Builds;

public enum BundleKind
{
    None,

    /// <summary><c>…/buildkit/executor/&lt;25 characters&gt;</c> or a container driver's <c>…/executor/&lt;25&gt;</c>.</summary>
    BuildKit,

    /// <summary><c>…/moby/&lt;64 hex&gt;</c>: a container of an engine; the classic builder's steps look the same.</summary>
    Container,

    /// <summary><c>…/buildah&lt;digits&gt;</c>.</summary>
    Buildah,

    /// <summary><c>…/&lt;storage&gt;-containers/&lt;64 hex&gt;/userdata</c>: a container that podman or CRI-O runs without an engine.</summary>
    Podman,
}

/// <summary>What a runtime's bundle directory says about who runs it. Only the end of the path counts: the requester
/// chooses neither, but an administrator may have moved the roots.</summary>
public static class BundlePath
{
    public static BundleKind Classify(ReadOnlySpan<byte> bundle, out string id)
    {
        id = "";
        ReadOnlySpan<byte> path = bundle.TrimEnd((byte)'/');
        int slash = path.LastIndexOf((byte)'/');
        if (slash < 0)
        {
            return BundleKind.None;
        }

        ReadOnlySpan<byte> name = path[(slash + 1)..];
        ReadOnlySpan<byte> directory = path[..slash];
        if (IsStepId(name) && directory.EndsWith("/executor"u8))
        {
            id = Encoding.ASCII.GetString(name);
            return BundleKind.BuildKit;
        }

        if (name.SequenceEqual("userdata"u8) && directory.LastIndexOf((byte)'/') is >= 0 and var parent && IsContainerId(directory[(parent + 1)..]))
        {
            id = Encoding.ASCII.GetString(directory[(parent + 1)..]);
            return BundleKind.Podman;
        }

        if (IsContainerId(name))
        {
            id = Encoding.ASCII.GetString(name);
            return BundleKind.Container;
        }

        if (name.StartsWith("buildah"u8) && name.Length > 7 && name[7..].IndexOfAnyExceptInRange((byte)'0', (byte)'9') < 0)
        {
            id = Encoding.ASCII.GetString(name);
            return BundleKind.Buildah;
        }

        return BundleKind.None;
    }

    /// <summary>25 characters of [a-z0-9]: BuildKit's random ids.</summary>
    public static bool IsStepId(ReadOnlySpan<byte> name)
    {
        if (name.Length != 25)
        {
            return false;
        }

        foreach (byte b in name)
        {
            if (b is not ((>= (byte)'a' and <= (byte)'z') or (>= (byte)'0' and <= (byte)'9')))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>64 lower-case hexadecimal digits.</summary>
    public static bool IsContainerId(ReadOnlySpan<byte> name)
    {
        if (name.Length != 64)
        {
            return false;
        }

        foreach (byte b in name)
        {
            if (b is not ((>= (byte)'a' and <= (byte)'f') or (>= (byte)'0' and <= (byte)'9')))
            {
                return false;
            }
        }

        return true;
    }
}
