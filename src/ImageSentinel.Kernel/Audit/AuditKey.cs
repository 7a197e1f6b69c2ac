namespace ImageSentinel.Kernel.Audit;

/// <summary>Field names packed into a number: first byte lowest, the length on top. Seven bytes at most.</summary>
internal static class AuditKey
{
    public const ulong A0 = 0x0200000000003061;
    public const ulong A1 = 0x0200000000003161;
    public const ulong A2 = 0x0200000000003261;
    public const ulong A3 = 0x0200000000003361;
    public const ulong Arch = 0x0400000068637261;
    public const ulong Argc = 0x0400000063677261;
    public const ulong Auid = 0x0400000064697561;
    public const ulong Comm = 0x040000006D6D6F63;
    public const ulong Dev = 0x0300000000766564;
    public const ulong Euid = 0x0400000064697565;
    public const ulong Exe = 0x0300000000657865;
    public const ulong Exit = 0x0400000074697865;
    public const ulong Gid = 0x0300000000646967;
    public const ulong Inode = 0x05000065646F6E69;
    public const ulong Item = 0x040000006D657469;
    public const ulong Key = 0x030000000079656B;
    public const ulong List = 0x040000007473696C;
    public const ulong Mode = 0x0400000065646F6D;
    public const ulong Name = 0x04000000656D616E;
    public const ulong Nargs = 0x050000736772616E;
    public const ulong Old = 0x0300000000646C6F;
    public const ulong Op = 0x020000000000706F;
    public const ulong Ouid = 0x040000006469756F;
    public const ulong Pid = 0x0300000000646970;
    public const ulong Ppid = 0x0400000064697070;
    public const ulong Res = 0x0300000000736572;
    public const ulong Saddr = 0x0500007264646173;
    public const ulong Ses = 0x0300000000736573;
    public const ulong Success = 0x0773736563637573;
    public const ulong Syscall = 0x076C6C6163737973;
    public const ulong Uid = 0x0300000000646975;
    public const ulong Cwd = 0x0300000000647763;

    /// <summary>A test holds the constants above against this.</summary>
    public static ulong Pack(ReadOnlySpan<byte> name)
    {
        ulong packed = 0;
        for (int i = name.Length - 1; i >= 0; i--)
        {
            packed = (packed << 8) | name[i];
        }

        return WithLength(packed, name.Length);
    }

    // Without the length a name with a NUL behind it would pass for the name.
    public static ulong WithLength(ulong word, int length) => word | ((ulong)length << 56);
}
