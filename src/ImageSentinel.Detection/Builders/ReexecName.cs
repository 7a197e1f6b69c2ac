namespace ImageSentinel.Detection.Builders;

/// <summary>Roles that containers' builder libraries give to copies of themselves.</summary>
/// <remarks>
/// buildah and podman run parts of a build in a re-executed copy of the program whose first argument is the part's
/// registered name, whatever the program's file is called (containers/storage, <c>pkg/reexec</c>). Measured on buildah 1.28 and
/// podman 4.3.
/// </remarks>
public static class ReexecName
{
    /// <summary>The process below which a step runs when the isolation is a chroot and no runtime is called.</summary>
    public static bool IsChrootStep(ReadOnlySpan<byte> arguments) => First(arguments).SequenceEqual("buildah-chroot-exec"u8);

    /// <summary>Any part of a builder: not itself what somebody started.</summary>
    public static bool IsPart(ReadOnlySpan<byte> arguments)
    {
        ReadOnlySpan<byte> name = First(arguments);
        return name.StartsWith("buildah-"u8) || name.StartsWith("storage-"u8) || name.StartsWith("chrootuser-"u8);
    }

    private static ReadOnlySpan<byte> First(ReadOnlySpan<byte> arguments)
    {
        int end = arguments.IndexOf((byte)0);
        return end < 0 ? arguments : arguments[..end];
    }
}
