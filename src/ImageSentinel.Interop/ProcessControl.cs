using static ImageSentinel.Interop.NativeConstants;

namespace ImageSentinel.Interop;

/// <summary>What this process asks of the kernel about itself.</summary>
public static class ProcessControl
{
    /// <summary>No new privileges for us and our children, for good. Children of a detector need none.</summary>
    public static void ForbidNewPrivileges() => Set(PR_SET_NO_NEW_PRIVS, 1);

    /// <summary>Keeps other users of our uid from attaching to us and core dumps from holding what we saw.</summary>
    public static void ForbidDumping() => Set(PR_SET_DUMPABLE, 0);

    /// <summary>This process is killed when its parent's thread ends: no self-test child outlives its agent.</summary>
    public static void DieWithParent() => Set(PR_SET_PDEATHSIG, SIGKILL);

    /// <summary>What this process creates from now on is its user's alone (umask(2)), whoever creates it: SQLite asks for 0644.</summary>
    public static void KeepFilesPrivate() => _ = NativeMethods.UMask(0x3F); // 077

    private static void Set(int option, nuint value)
    {
        if (NativeMethods.PrCtl(option, value, 0, 0, 0) != 0)
        {
            throw LinuxException.FromLastError("prctl");
        }
    }
}
