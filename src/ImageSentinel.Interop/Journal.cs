using System.Runtime.InteropServices;

namespace ImageSentinel.Interop;

/// <summary>Writes structured entries to the systemd journal through libsystemd.</summary>
/// <remarks>
/// libsystemd, not the raw protocol: an entry larger than a datagram must travel as a sealed memfd, and the library
/// knows how. It is looked for at run time; a host without it has no journal, and that is a state, not an error.
/// </remarks>
public static unsafe partial class Journal
{
    private const string LibSystemd = "libsystemd.so.0";

    private static readonly Lazy<string?> s_absence = new(Probe);

    /// <summary>Null when entries can be written; else why not.</summary>
    public static string? Absence => s_absence.Value;

    /// <summary>Writes one entry.</summary>
    /// <param name="fields">Each <c>NAME=value</c>; the value may hold any byte, new lines included. The name: upper
    /// case letters, digits and underscores.</param>
    /// <exception cref="LinuxException">The library refused the entry (EINVAL: a field without '=').</exception>
    public static void Send(ReadOnlySpan<ReadOnlyMemory<byte>> fields)
    {
        if (Absence is not null || fields.IsEmpty)
        {
            return;
        }

        var pins = new System.Buffers.MemoryHandle[fields.Length];
        iovec_native* vectors = stackalloc iovec_native[fields.Length];
        try
        {
            for (int i = 0; i < fields.Length; i++)
            {
                pins[i] = fields[i].Pin();
                vectors[i] = new iovec_native { iov_base = pins[i].Pointer, iov_len = (nuint)fields[i].Length };
            }

            // Answers a negative errno; does not set errno. A missing journald socket is success by its contract.
            int result = SendVNative(vectors, fields.Length);
            if (result < 0)
            {
                throw new LinuxException("sd_journal_sendv", -result);
            }
        }
        finally
        {
            foreach (System.Buffers.MemoryHandle pin in pins)
            {
                pin.Dispose();
            }
        }
    }

    private static string? Probe()
    {
        if (!NativeLibrary.TryLoad(LibSystemd, out nint library))
        {
            return $"{LibSystemd} is not installed";
        }

        if (!NativeLibrary.TryGetExport(library, "sd_journal_sendv", out _))
        {
            return $"{LibSystemd} has no sd_journal_sendv";
        }

        return File.Exists("/run/systemd/journal/socket") ? null : "no journald is listening (/run/systemd/journal/socket)";
    }

    [LibraryImport(LibSystemd, EntryPoint = "sd_journal_sendv")]
    private static partial int SendVNative(iovec_native* fields, int count);
}
