using System.Buffers;

namespace ImageSentinel.Kernel.Proc;

/// <summary>What a cgroup path says about who a process belongs to.</summary>
/// <remarks>
/// <para>Patterns: <c>…/64 hex</c> a container; <c>…/buildkit/25 of [a-z0-9]</c> a BuildKit step;
/// <c>…/64 hex/buildkit/25</c> a step of a builder that runs in a container; <c>…/buildah-buildahDIGITS</c> a buildah
/// step; with the systemd driver <c>…-64hex.scope</c> and <c>…-25.scope</c>. Whoever asks for a build chooses what
/// stands in front (<c>--cgroup-parent</c>), so nothing in front is looked at.</para>
/// <para>Groups below the container's own are made by what runs in it, so the outermost match counts: a process
/// cannot put on another identity by making a group with a telling name.</para>
/// <para>This is evidence, never the decision: a process belongs to a step because of its ancestry.</para>
/// </remarks>
public readonly ref struct CgroupIdentity
{
    private const int ContainerIdLength = 64;
    private const int StepIdLength = 25;

    private static readonly SearchValues<byte> Digits = SearchValues.Create("0123456789"u8);
    private static readonly SearchValues<byte> HexDigits = SearchValues.Create("0123456789abcdef"u8);
    private static readonly SearchValues<byte> StepCharacters = SearchValues.Create("0123456789abcdefghijklmnopqrstuvwxyz"u8);

    /// <summary>64 hex digits, or empty.</summary>
    public ReadOnlySpan<byte> ContainerId { get; private init; }

    /// <summary>BuildKit's 25 characters or <c>buildah-buildahDIGITS</c>, or empty.</summary>
    public ReadOnlySpan<byte> StepId { get; private init; }

    public bool IsEmpty => ContainerId.IsEmpty && StepId.IsEmpty;

    /// <summary>Looks at one path, as in <c>/proc/PID/cgroup</c> or below a cgroup mount.</summary>
    public static CgroupIdentity FromPath(ReadOnlySpan<byte> path)
    {
        ReadOnlySpan<byte> container = default;
        ReadOnlySpan<byte> parent = default;
        ReadOnlySpan<byte> rest = path;
        while (!rest.IsEmpty)
        {
            int slash = rest.IndexOf((byte)'/');
            ReadOnlySpan<byte> element = slash < 0 ? rest : rest[..slash];
            rest = slash < 0 ? default : rest[(slash + 1)..];
            if (element.IsEmpty)
            {
                continue;
            }

            if (IsStep(element, parent, out ReadOnlySpan<byte> step))
            {
                return new CgroupIdentity { ContainerId = container, StepId = step };
            }

            ReadOnlySpan<byte> id = StripScope(element);
            if (container.IsEmpty && IsContainerId(id))
            {
                container = id;
            }

            parent = element;
        }

        return new CgroupIdentity { ContainerId = container };
    }

    /// <summary>Looks at the whole of <c>/proc/PID/cgroup</c> and takes the first hierarchy that says most.</summary>
    public static CgroupIdentity FromFile(ReadOnlySpan<byte> content)
    {
        CgroupIdentity best = default;
        ReadOnlySpan<byte> rest = content;
        while (!rest.IsEmpty)
        {
            int end = rest.IndexOf((byte)'\n');
            ReadOnlySpan<byte> line = end < 0 ? rest : rest[..end];
            rest = end < 0 ? default : rest[(end + 1)..];
            if (!TryReadLine(line, out ReadOnlySpan<byte> path))
            {
                continue;
            }

            CgroupIdentity found = FromPath(path);
            if (!found.StepId.IsEmpty)
            {
                return found;
            }

            if (best.IsEmpty)
            {
                best = found;
            }
        }

        return best;
    }

    /// <summary>Splits <c>4:memory:/docker/…</c> or <c>0::/docker/…</c>.</summary>
    public static bool TryReadLine(ReadOnlySpan<byte> line, out ReadOnlySpan<byte> path)
    {
        int first = line.IndexOf((byte)':');
        int second = first < 0 ? -1 : line[(first + 1)..].IndexOf((byte)':');
        path = second < 0 ? default : line[(first + 1 + second + 1)..];

        // A group that was removed while a process is still in it is marked so.
        if (path.EndsWith(" (deleted)"u8))
        {
            path = path[..^" (deleted)"u8.Length];
        }

        return second >= 0;
    }

    public static bool IsContainerId(ReadOnlySpan<byte> text)
        => text.Length == ContainerIdLength && !text.ContainsAnyExcept(HexDigits);

    public static bool IsBuildKitStepId(ReadOnlySpan<byte> text)
        => text.Length == StepIdLength && !text.ContainsAnyExcept(StepCharacters);

    private static bool IsStep(ReadOnlySpan<byte> element, ReadOnlySpan<byte> parent, out ReadOnlySpan<byte> step)
    {
        step = element;
        if (parent.SequenceEqual("buildkit"u8) && IsBuildKitStepId(element))
        {
            return true;
        }

        const int buildahPrefix = 15;
        if (element.StartsWith("buildah-buildah"u8)
            && element.Length > buildahPrefix
            && !element[buildahPrefix..].ContainsAnyExcept(Digits))
        {
            return true;
        }

        step = StripScope(element);
        return step.Length < element.Length && IsBuildKitStepId(step);
    }

    // docker-ID.scope → ID; anything else stays as it is.
    private static ReadOnlySpan<byte> StripScope(ReadOnlySpan<byte> element)
    {
        if (!element.EndsWith(".scope"u8))
        {
            return element;
        }

        ReadOnlySpan<byte> name = element[..^".scope"u8.Length];
        return name[(name.LastIndexOf((byte)'-') + 1)..];
    }
}
