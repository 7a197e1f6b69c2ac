using System.Runtime.InteropServices;

namespace ImageSentinel.Interop;

/// <summary>The imports that Tmds.LibC does not have. Each is used by exactly one wrapper.</summary>
/// <remarks>
/// "libc" is found as libc.so.6 by the runtime's probing of glibc hosts. Nothing is between us and libc: EINTR is ours
/// to retry. <c>syscall</c> is variadic in C; with integer arguments only, x86-64 and AArch64 Linux pass them exactly
/// as to a fixed signature.
/// </remarks>
internal static unsafe partial class NativeMethods
{
    private const string Libc = "libc";

    [LibraryImport(Libc, EntryPoint = "recvmmsg", SetLastError = true)]
    public static partial int RecvMMsg(int socket, mmsghdr_native* messages, uint count, int flags, timespec_native* timeout);

    [LibraryImport(Libc, EntryPoint = "recvfrom", SetLastError = true)]
    public static partial nint RecvFrom(int socket, byte* buffer, nuint length, int flags, sockaddr_nl* source, uint* sourceLength);

    [LibraryImport(Libc, EntryPoint = "sendto", SetLastError = true)]
    public static partial nint SendTo(int socket, byte* buffer, nuint length, int flags, sockaddr_nl* target, uint targetLength);

    [LibraryImport(Libc, EntryPoint = "bind", SetLastError = true)]
    public static partial int Bind(int socket, sockaddr_nl* address, uint length);

    [LibraryImport(Libc, EntryPoint = "bind", SetLastError = true)]
    public static partial int BindPacket(int socket, sockaddr_ll* address, uint length);

    [LibraryImport(Libc, EntryPoint = "getsockname", SetLastError = true)]
    public static partial int GetSockName(int socket, sockaddr_nl* address, uint* length);

    [LibraryImport(Libc, EntryPoint = "ppoll", SetLastError = true)]
    public static partial int PPoll(pollfd_native* descriptors, nuint count, timespec_native* timeout, void* signalMask);

    [LibraryImport(Libc, EntryPoint = "clock_gettime")]
    [SuppressGCTransition]
    public static partial int ClockGetTime(int clock, timespec_native* time);

    [LibraryImport(Libc, EntryPoint = "fanotify_init", SetLastError = true)]
    public static partial int FanotifyInit(uint flags, uint eventFileFlags);

    [LibraryImport(Libc, EntryPoint = "fanotify_mark", SetLastError = true)]
    public static partial int FanotifyMark(int group, uint flags, ulong mask, int directory, byte* path);

    [LibraryImport(Libc, EntryPoint = "open_by_handle_at", SetLastError = true)]
    public static partial int OpenByHandleAt(int mountDescriptor, file_handle_max* handle, int flags);

    [LibraryImport(Libc, EntryPoint = "fstatfs", SetLastError = true)]
    public static partial int FStatFs(int descriptor, statfs_native* result);

    [LibraryImport(Libc, EntryPoint = "syscall", SetLastError = true)]
    public static partial nint SysCall(nint number, nint a, nint b, nint c, nint d);

    [LibraryImport(Libc, EntryPoint = "prctl", SetLastError = true)]
    public static partial int PrCtl(int option, nuint a, nuint b, nuint c, nuint d);

    [LibraryImport(Libc, EntryPoint = "umask")]
    public static partial uint UMask(uint mask);

    [LibraryImport(Libc, EntryPoint = "flock", SetLastError = true)]
    public static partial int FLock(int descriptor, int operation);

    [LibraryImport(Libc, EntryPoint = "posix_spawn")]
    public static partial int PosixSpawn(int* pid, byte* path, void* fileActions, void* attributes, byte** arguments, byte** environment);

    [LibraryImport(Libc, EntryPoint = "waitpid", SetLastError = true)]
    public static partial int WaitPid(int pid, int* status, int options);

    [LibraryImport(Libc, EntryPoint = "kill", SetLastError = true)]
    public static partial int Kill(int pid, int signal);
}
