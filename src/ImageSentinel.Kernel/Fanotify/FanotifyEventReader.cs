using System.Buffers.Binary;
using ImageSentinel.Kernel.Numbers;

namespace ImageSentinel.Kernel.Fanotify;

/// <summary>Walks the events that one read of a fanotify group returned.</summary>
/// <remarks>Layouts: <c>linux/fanotify.h</c>, metadata version 3. Unknown information records are stepped over.</remarks>
public ref struct FanotifyEventReader(ReadOnlySpan<byte> buffer)
{
    /// <summary>Size of <c>struct fanotify_event_metadata</c> in bytes.</summary>
    public const int MetadataSize = 24;

    private const int InfoHeaderSize = 4;
    private const int HandleHeaderSize = 20; // info header, fsid, handle_bytes, handle_type

    private ReadOnlySpan<byte> _rest = buffer;

    /// <summary>True once an event's length contradicted the buffer: the rest of the buffer is lost, and descriptors
    /// in it stay open.</summary>
    public bool IsMalformed { get; private set; }

    /// <summary>True once the kernel spoke another metadata version: this group cannot be read at all.</summary>
    public bool IsUnknownVersion { get; private set; }

    public bool TryRead(out FanotifyEvent fanotifyEvent)
    {
        fanotifyEvent = new FanotifyEvent
        {
            Descriptor = FanotifyConstants.FAN_NOFD,
            PidDescriptor = FanotifyConstants.FAN_NOPIDFD,
        };

        if (_rest.IsEmpty)
        {
            return false;
        }

        if (_rest.Length < MetadataSize)
        {
            return Refuse();
        }

        uint length = BinaryPrimitives.ReadUInt32LittleEndian(_rest);
        ushort metadataLength = BinaryPrimitives.ReadUInt16LittleEndian(_rest[6..]);
        if (_rest[4] != FanotifyConstants.FANOTIFY_METADATA_VERSION)
        {
            IsUnknownVersion = true;
            return Refuse();
        }

        if (length < MetadataSize || length > (uint)_rest.Length || metadataLength < MetadataSize || metadataLength > length)
        {
            return Refuse();
        }

        ReadOnlySpan<byte> body = _rest[..(int)length];
        _rest = _rest[(int)length..];
        fanotifyEvent.Mask = BinaryPrimitives.ReadUInt64LittleEndian(body[8..]);

        // Before anything else: an overflow event has no descriptor, no process and no information records.
        if (fanotifyEvent.IsOverflow)
        {
            return true;
        }

        fanotifyEvent.Descriptor = BinaryPrimitives.ReadInt32LittleEndian(body[16..]);
        fanotifyEvent.ProcessId = BinaryPrimitives.ReadInt32LittleEndian(body[20..]);
        fanotifyEvent.IsMalformed = !TryReadInformation(body[metadataLength..], ref fanotifyEvent);
        return true;
    }

    private static bool TryReadInformation(ReadOnlySpan<byte> rest, ref FanotifyEvent fanotifyEvent)
    {
        while (!rest.IsEmpty)
        {
            if (rest.Length < InfoHeaderSize)
            {
                return false;
            }

            ushort length = BinaryPrimitives.ReadUInt16LittleEndian(rest[2..]);
            if (length < InfoHeaderSize || length > rest.Length)
            {
                return false;
            }

            if (!TryReadRecord(rest[0], rest[..length], ref fanotifyEvent))
            {
                return false;
            }

            rest = rest[length..];
        }

        return true;
    }

    private static bool TryReadRecord(byte type, ReadOnlySpan<byte> record, ref FanotifyEvent fanotifyEvent)
    {
        FanotifyHandle handle = default;
        ReadOnlySpan<byte> name = default;
        bool valid = type switch
        {
            FanotifyConstants.FAN_EVENT_INFO_TYPE_FID or FanotifyConstants.FAN_EVENT_INFO_TYPE_DFID =>
                TryReadHandle(record, hasName: false, out handle, out name),
            FanotifyConstants.FAN_EVENT_INFO_TYPE_DFID_NAME
                or FanotifyConstants.FAN_EVENT_INFO_TYPE_OLD_DFID_NAME
                or FanotifyConstants.FAN_EVENT_INFO_TYPE_NEW_DFID_NAME =>
                TryReadHandle(record, hasName: true, out handle, out name),
            FanotifyConstants.FAN_EVENT_INFO_TYPE_PIDFD => record.Length >= 8,
            FanotifyConstants.FAN_EVENT_INFO_TYPE_ERROR => record.Length >= 12,
            FanotifyConstants.FAN_EVENT_INFO_TYPE_MNT => record.Length >= 16,
            _ => true,
        };

        if (!valid)
        {
            return false;
        }

        switch (type)
        {
            case FanotifyConstants.FAN_EVENT_INFO_TYPE_FID:
                fanotifyEvent.Object = handle;
                break;
            case FanotifyConstants.FAN_EVENT_INFO_TYPE_DFID:
                fanotifyEvent.Directory = handle;
                break;
            case FanotifyConstants.FAN_EVENT_INFO_TYPE_DFID_NAME:
                fanotifyEvent.Directory = handle;
                fanotifyEvent.Name = name;
                break;
            case FanotifyConstants.FAN_EVENT_INFO_TYPE_OLD_DFID_NAME:
                fanotifyEvent.OldDirectory = handle;
                fanotifyEvent.OldName = name;
                break;
            case FanotifyConstants.FAN_EVENT_INFO_TYPE_NEW_DFID_NAME:
                fanotifyEvent.NewDirectory = handle;
                fanotifyEvent.NewName = name;
                break;
            case FanotifyConstants.FAN_EVENT_INFO_TYPE_PIDFD:
                fanotifyEvent.PidDescriptor = BinaryPrimitives.ReadInt32LittleEndian(record[4..]);
                break;
            case FanotifyConstants.FAN_EVENT_INFO_TYPE_ERROR:
                fanotifyEvent.Error = BinaryPrimitives.ReadInt32LittleEndian(record[4..]);
                fanotifyEvent.ErrorCount = BinaryPrimitives.ReadUInt32LittleEndian(record[8..]);
                break;
            case FanotifyConstants.FAN_EVENT_INFO_TYPE_MNT:
                // Four bytes of padding stand before the id.
                fanotifyEvent.MountId = BinaryPrimitives.ReadUInt64LittleEndian(record[8..]);
                break;
            default:
                break; // a newer kernel's
        }

        return true;
    }

    private static bool TryReadHandle(
        ReadOnlySpan<byte> record,
        bool hasName,
        out FanotifyHandle handle,
        out ReadOnlySpan<byte> name)
    {
        handle = default;
        name = default;
        if (record.Length < HandleHeaderSize)
        {
            return false;
        }

        uint size = BinaryPrimitives.ReadUInt32LittleEndian(record[12..]);
        if (size > (uint)(record.Length - HandleHeaderSize))
        {
            return false;
        }

        handle = new FanotifyHandle(
            BinaryPrimitives.ReadUInt64LittleEndian(record[4..]),
            BinaryPrimitives.ReadInt32LittleEndian(record[16..]),
            record.Slice(HandleHeaderSize, (int)size));
        if (!hasName)
        {
            return true;
        }

        // The name ends with a NUL; up to three bytes of padding follow.
        ReadOnlySpan<byte> text = record[(HandleHeaderSize + (int)size)..];
        int end = text.IndexOf((byte)0);
        name = end < 0 ? default : text[..end];
        return end >= 0;
    }

    private bool Refuse()
    {
        IsMalformed = true;
        _rest = default;
        return false;
    }
}
