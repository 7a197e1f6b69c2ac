using System.Buffers.Binary;
using ImageSentinel.Kernel.Audit;
using ImageSentinel.Kernel.Netlink;

namespace ImageSentinel.Sensors.Audit;

/// <summary>Tells from the records themselves that another program wants to be the host's audit daemon.</summary>
/// <remarks>
/// Two signs. A program of such a name starts: seen milliseconds before it asks, early enough that its first attempt
/// finds the role free. Or the kernel has refused an attempt (EEXIST) and says so, <c>op=set audit_pid=N old=M … res=0</c>:
/// the second attempt, which service managers make, will do. A process may take such a name on purpose; all it gains is
/// that we read by multicast.
/// </remarks>
internal static class AuditRoleWish
{
    /// <summary>Programs that register with the kernel; comm holds at most 15 bytes.</summary>
    private static readonly byte[][] s_daemons = [.. new[] { "auditd", "auditbeat", "go-audit", "osqueryd" }.Select(System.Text.Encoding.ASCII.GetBytes)];

    /// <param name="batch">Length-prefixed datagrams. Runs for every batch: looks at types first.</param>
    public static bool IsIn(ReadOnlySpan<byte> batch)
    {
        while (batch.Length > sizeof(uint) + NetlinkFrame.HeaderSize)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(batch);
            ReadOnlySpan<byte> datagram = batch.Slice(sizeof(uint), length);
            if (BinaryPrimitives.ReadUInt16LittleEndian(datagram[sizeof(uint)..]) switch
            {
                AuditRecordType.ConfigChange => IsRefusedRegistration(datagram),
                AuditRecordType.Syscall => IsStartOfDaemon(datagram),
                _ => false,
            })
            {
                return true;
            }

            batch = batch[(sizeof(uint) + length)..];
        }

        return false;
    }

    private static bool IsRefusedRegistration(ReadOnlySpan<byte> record)
        => record.IndexOf(" op=set audit_pid="u8) >= 0 && record.IndexOf(" res=0"u8) >= 0;

    private static bool IsStartOfDaemon(ReadOnlySpan<byte> record)
    {
        // The kernel quotes what a process chose, or writes it in hex: this cannot be forged inside another field.
        int at = record.IndexOf(" comm=\""u8);
        if (at < 0)
        {
            return false;
        }

        ReadOnlySpan<byte> name = record[(at + 7)..];
        foreach (byte[] daemon in s_daemons)
        {
            if (name.StartsWith(daemon) && name.Length > daemon.Length && name[daemon.Length] == (byte)'"')
            {
                return true;
            }
        }

        return false;
    }
}
