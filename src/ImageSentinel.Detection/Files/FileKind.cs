namespace ImageSentinel.Detection.Files;

/// <summary>What a file is, by its first bytes. The numbers are the wire's.</summary>
public enum FileKind
{
    None = 0,
    Elf = 1,
    Script = 2,
    Archive = 3,
    Other = 4,
}

/// <summary>Tells a file's kind as the kernel would: names and suffixes mean nothing.</summary>
public static class FileKinds
{
    /// <summary>Bytes that are enough to tell; <c>ustar</c> of a tar archive stands at 257.</summary>
    public const int HeadLength = 512;

    private const int TarMagicOffset = 257;

    public static FileKind Of(ReadOnlySpan<byte> head)
        => head.StartsWith("\x7f\x45LF"u8) ? FileKind.Elf
        : head.StartsWith("#!"u8) ? FileKind.Script
        : IsArchive(head) ? FileKind.Archive
        : FileKind.Other;

    // gzip, bzip2, xz, zstd, zip, 7-Zip, ar (Debian packages), RPM, cpio, tar.
    private static bool IsArchive(ReadOnlySpan<byte> head)
        => head.StartsWith((ReadOnlySpan<byte>)[0x1f, 0x8b])
        || head.StartsWith("BZh"u8)
        || head.StartsWith((ReadOnlySpan<byte>)[0xfd, 0x37, 0x7a, 0x58, 0x5a])
        || head.StartsWith((ReadOnlySpan<byte>)[0x28, 0xb5, 0x2f, 0xfd])
        || head.StartsWith("PK\x03\x04"u8)
        || head.StartsWith((ReadOnlySpan<byte>)[0x37, 0x7a, 0xbc, 0xaf])
        || head.StartsWith("!<arch>"u8)
        || head.StartsWith((ReadOnlySpan<byte>)[0xed, 0xab, 0xee, 0xdb])
        || head.StartsWith("070701"u8)
        || (head.Length >= TarMagicOffset + 5 && head[TarMagicOffset..].StartsWith("ustar"u8));
}
