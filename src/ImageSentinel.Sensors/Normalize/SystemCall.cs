using ImageSentinel.Kernel.Numbers;

namespace ImageSentinel.Sensors.Normalize;

/// <summary>The calls we audit, whatever their number is.</summary>
internal enum CallKind
{
    Unknown,
    Connect,
    SendTo,
    SendMessage,
    SendMessages,
    Accept,
    Execute,
    Socket,
    SocketCall,
    UringEnter,
}

/// <summary>System call numbers by the entry used. A record names its own architecture, so a capture reads the same
/// anywhere.</summary>
internal static class SystemCall
{
    /// <summary>Numbers from the kernel's syscall tables (arch/x86/entry/syscalls, asm-generic/unistd.h, arch/arm/tools).</summary>
    public static CallKind Classify(uint architecture, int number) => architecture switch
    {
        AuditConstants.AUDIT_ARCH_X86_64 => X64(number),
        AuditConstants.AUDIT_ARCH_I386 => I386(number),
        AuditConstants.AUDIT_ARCH_AARCH64 => Arm64(number),
        AuditConstants.AUDIT_ARCH_ARM => Arm(number),
        _ => CallKind.Unknown,
    };

    /// <summary>True for a 32-bit entry: a program of another word size, or a 64-bit one that uses int 0x80.</summary>
    public static bool Is32Bit(uint architecture)
        => architecture is AuditConstants.AUDIT_ARCH_I386 or AuditConstants.AUDIT_ARCH_ARM;

    /// <summary>linux/net.h: SYS_CONNECT and friends, the first argument of socketcall(2).</summary>
    public static CallKind ClassifySocketCall(ulong call) => call switch
    {
        1 => CallKind.Socket,
        3 => CallKind.Connect,
        5 or 18 => CallKind.Accept,
        11 => CallKind.SendTo,
        16 => CallKind.SendMessage,
        20 => CallKind.SendMessages,
        _ => CallKind.Unknown,
    };

    private static CallKind X64(int number) => number switch
    {
        41 => CallKind.Socket,
        42 => CallKind.Connect,
        43 or 288 => CallKind.Accept,
        44 => CallKind.SendTo,
        46 => CallKind.SendMessage,
        307 => CallKind.SendMessages,
        59 or 322 => CallKind.Execute,
        426 => CallKind.UringEnter,
        _ => CallKind.Unknown,
    };

    private static CallKind I386(int number) => number switch
    {
        102 => CallKind.SocketCall,
        359 => CallKind.Socket,
        362 => CallKind.Connect,
        364 => CallKind.Accept,
        369 => CallKind.SendTo,
        370 => CallKind.SendMessage,
        345 => CallKind.SendMessages,
        11 or 358 => CallKind.Execute,
        426 => CallKind.UringEnter,
        _ => CallKind.Unknown,
    };

    private static CallKind Arm64(int number) => number switch
    {
        198 => CallKind.Socket,
        203 => CallKind.Connect,
        202 or 242 => CallKind.Accept,
        206 => CallKind.SendTo,
        211 => CallKind.SendMessage,
        269 => CallKind.SendMessages,
        221 or 281 => CallKind.Execute,
        426 => CallKind.UringEnter,
        _ => CallKind.Unknown,
    };

    private static CallKind Arm(int number) => number switch
    {
        281 => CallKind.Socket,
        283 => CallKind.Connect,
        285 or 366 => CallKind.Accept,
        290 => CallKind.SendTo,
        296 => CallKind.SendMessage,
        374 => CallKind.SendMessages,
        11 or 387 => CallKind.Execute,
        426 => CallKind.UringEnter,
        _ => CallKind.Unknown,
    };
}
