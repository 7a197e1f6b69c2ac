namespace ImageSentinel.Sensors.Normalize;

/// <summary>
/// What kind of socket a descriptor of a process is, from the audited socket(2) calls: a connect record does not say, and
/// setting the address of a datagram socket sends nothing.
/// </summary>
/// <remarks>Fixed size, direct-mapped: a flood overwrites, it does not grow. What is not here counts as a stream, which
/// errs towards telling. fork passes descriptors on, so a child's unknown descriptor is its parent's.</remarks>
internal sealed class SocketTypes
{
    public const int Stream = 1;
    public const int Datagram = 2;
    public const int Raw = 3;

    private const int Slots = 1 << 14;

    private readonly Entry[] _entries = new Entry[Slots];

    public void Set(int pid, int descriptor, int family, int type)
        => _entries[SlotOf(pid, descriptor)] = new Entry(pid, descriptor, (ushort)family, (byte)type);

    /// <returns>0 when nothing is known.</returns>
    public int TypeOf(int pid, int parentPid, int descriptor)
    {
        int type = Find(pid, descriptor);
        return type != 0 ? type : Find(parentPid, descriptor);
    }

    private int Find(int pid, int descriptor)
    {
        Entry entry = _entries[SlotOf(pid, descriptor)];
        return entry.Pid == pid && entry.Descriptor == descriptor ? entry.Type : 0;
    }

    private static int SlotOf(int pid, int descriptor)
        => (int)(((uint)(pid * 31) ^ ((uint)descriptor * 0x9E37_79B9u)) >> 5 & (Slots - 1));

    private readonly record struct Entry(int Pid, int Descriptor, ushort Family, byte Type);
}
