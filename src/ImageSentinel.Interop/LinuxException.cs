using System.Runtime.InteropServices;

namespace ImageSentinel.Interop;

/// <summary>A Linux call that failed; the errno stays data, so callers branch on it instead of on text.</summary>
public sealed class LinuxException : IOException
{
    /// <param name="call">The system call's name as the man page spells it.</param>
    /// <param name="errno">The error number it left.</param>
    public LinuxException(string call, int errno)
        : this(call, errno, detail: null)
    {
    }

    /// <param name="call">The system call's name as the man page spells it.</param>
    /// <param name="errno">The error number it left.</param>
    /// <param name="detail">What a person can do about it (capability, limit, flag), or null.</param>
    public LinuxException(string call, int errno, string? detail)
        : base(Describe(call, errno, detail), errno)
    {
        Call = call;
        Errno = errno;
    }

    /// <summary>The system call that failed.</summary>
    public string Call { get; }

    /// <summary>The error number, see <see cref="Interop.Errno"/>.</summary>
    public int Errno { get; }

    internal static LinuxException FromLastError(string call, string? detail = null)
        => new(call, Marshal.GetLastPInvokeError(), detail);

    private static string Describe(string call, int errno, string? detail)
    {
        string text = $"{call}: {Marshal.GetPInvokeErrorMessage(errno)} (errno {errno})";
        return detail is null ? text : $"{text}; {detail}";
    }
}
