using System.Buffers;
using System.Buffers.Text;

namespace ImageSentinel.Kernel.Audit;

/// <summary>A PATH record (1302): one file that a system call named.</summary>
/// <remarks>
/// The name is what the caller wrote, in the caller's mount namespace, relative to the event's CWD record. Inode and
/// device are the kernel's own: compare those to know what file it was. Source: <c>audit_log_name</c>.
/// </remarks>
public readonly ref struct PathRecord
{
    public int Item { get; init; }

    /// <summary>Raw value of <c>name</c>; may be absent, and is empty for an execveat by descriptor.</summary>
    public ReadOnlySpan<byte> Name { get; init; }

    /// <summary>False when the kernel had no inode, for instance for a file that does not exist.</summary>
    public bool HasInode { get; init; }

    public ulong Inode { get; init; }

    public uint DeviceMajor { get; init; }

    /// <summary>An overlay's anonymous device has major 0, and this tells the overlay.</summary>
    public uint DeviceMinor { get; init; }

    /// <summary>File type and permissions as in <c>st_mode</c>.</summary>
    public uint Mode { get; init; }

    public uint OwnerUserId { get; init; }

    /// <summary>NORMAL, PARENT, CREATE, DELETE or UNKNOWN.</summary>
    public ReadOnlySpan<byte> NameType { get; init; }

    /// <returns>InvalidData when a number is not one or the item number is missing.</returns>
    public static OperationStatus TryParse(ReadOnlySpan<byte> fields, out PathRecord record)
    {
        record = default;
        int item = -1;
        ulong inode = 0;
        uint major = 0, minor = 0, mode = 0, owner = 0;
        bool hasInode = false;
        ReadOnlySpan<byte> name = default, nameType = default;

        var reader = new AuditFieldReader(fields);
        while (reader.TryRead())
        {
            ReadOnlySpan<byte> value = reader.Value;
            bool valid = true;
            switch (reader.KeyWord)
            {
                case AuditKey.Item:
                    valid = AuditValue.TryParse(value, out item);
                    break;
                case AuditKey.Name:
                    name = value;
                    break;
                case AuditKey.Inode:
                    hasInode = AuditValue.TryParse(value, out inode);
                    valid = hasInode;
                    break;
                case AuditKey.Dev:
                    valid = TryParseDevice(value, out major, out minor);
                    break;
                case AuditKey.Mode:
                    valid = AuditValue.TryParseOctal(value, out mode);
                    break;
                case AuditKey.Ouid:
                    valid = AuditValue.TryParse(value, out owner);
                    break;
                case 0 when reader.Key.SequenceEqual("nametype"u8):
                    nameType = value;
                    break;
                default:
                    break;
            }

            if (!valid)
            {
                return OperationStatus.InvalidData;
            }
        }

        if (item < 0)
        {
            return OperationStatus.InvalidData;
        }

        record = new PathRecord
        {
            Item = item,
            Name = name,
            HasInode = hasInode,
            Inode = inode,
            DeviceMajor = major,
            DeviceMinor = minor,
            Mode = mode,
            OwnerUserId = owner,
            NameType = nameType,
        };
        return OperationStatus.Done;
    }

    // Both numbers are hexadecimal, at least two digits each: dev=fe:00.
    private static bool TryParseDevice(ReadOnlySpan<byte> value, out uint major, out uint minor)
    {
        minor = 0;
        return Utf8Parser.TryParse(value, out major, out int consumed, 'x')
            && consumed + 1 < value.Length
            && value[consumed] == (byte)':'
            && Utf8Parser.TryParse(value[(consumed + 1)..], out minor, out int rest, 'x')
            && consumed + 1 + rest == value.Length;
    }
}
