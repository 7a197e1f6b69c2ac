using System.Globalization;

namespace ImageSentinel.Interop;

/// <summary>The capabilities this program asks for; values are bit numbers from linux/capability.h.</summary>
public enum Capability
{
    DacReadSearch = 2,
    NetAdmin = 12,
    SysPtrace = 19,
    SysAdmin = 21,
    AuditControl = 30,
    AuditRead = 37,
}

/// <summary>Which capabilities this process holds in effect.</summary>
public static class Capabilities
{
    private static readonly Capability[] s_needed =
    [
        Capability.AuditControl,
        Capability.AuditRead,
        Capability.SysAdmin,
        Capability.DacReadSearch,
        Capability.NetAdmin,
        Capability.SysPtrace,
    ];

    /// <summary>The effective set as a bit mask, from <c>/proc/self/status</c>; 0 when that cannot be read.</summary>
    public static ulong Effective()
    {
        try
        {
            foreach (string line in File.ReadLines("/proc/self/status"))
            {
                if (line.StartsWith("CapEff:", StringComparison.Ordinal)
                    && ulong.TryParse(line.AsSpan(7).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong mask))
                {
                    return mask;
                }
            }
        }
        catch (IOException)
        {
            // No procfs: nothing else here would work either, and "none" is the answer that gets told.
        }

        return 0;
    }

    public static bool Has(Capability capability) => (Effective() & (1ul << (int)capability)) != 0;

    /// <summary>What is missing, by the names a unit file uses (CAP_…); empty when nothing is.</summary>
    public static IReadOnlyList<string> Missing()
    {
        ulong effective = Effective();
        return [.. s_needed.Where(c => (effective & (1ul << (int)c)) == 0).Select(NameOf)];
    }

    public static string NameOf(Capability capability) => capability switch
    {
        Capability.DacReadSearch => "CAP_DAC_READ_SEARCH",
        Capability.NetAdmin => "CAP_NET_ADMIN",
        Capability.SysPtrace => "CAP_SYS_PTRACE",
        Capability.SysAdmin => "CAP_SYS_ADMIN",
        Capability.AuditControl => "CAP_AUDIT_CONTROL",
        Capability.AuditRead => "CAP_AUDIT_READ",
        _ => throw new ArgumentOutOfRangeException(nameof(capability)),
    };
}
