using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Tmds.Linux;

namespace ImageSentinel.Interop;

/// <summary>Owns one file descriptor and closes it once. The base of every handle here.</summary>
/// <remarks>
/// A C call that answers -1 is imported as <c>int</c> and wrapped afterwards. Imported as a SafeHandle, that -1 would
/// arrive as 0xFFFFFFFF on 64-bit machines and <see cref="SafeHandle.IsInvalid"/> would say false.
/// </remarks>
public class Descriptor : SafeHandleMinusOneIsInvalid
{
    internal Descriptor(int descriptor)
        : base(ownsHandle: true)
        => SetHandle(descriptor);

    /// <summary>The number, for a call that only borrows it. Never close it.</summary>
    internal int Number => (int)handle;

    // After close() the number is free even when close reports EINTR or EIO: never retry, it may be somebody else's by then.
    protected override bool ReleaseHandle() => LibC.close((int)handle) == 0 || Marshal.GetLastPInvokeError() == Errno.EINTR;

    internal static int Check(int result, string call, string? detail = null)
        => result >= 0 ? result : throw LinuxException.FromLastError(call, detail);
}
