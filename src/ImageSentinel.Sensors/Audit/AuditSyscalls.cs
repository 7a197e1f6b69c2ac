using System.Runtime.InteropServices;
using ImageSentinel.Kernel.Numbers;

namespace ImageSentinel.Sensors.Audit;

/// <summary>Call numbers of one instruction set, as audit rules want them.</summary>
/// <param name="Arch">audit's name of the instruction set.</param>
/// <param name="Connect">Calls that take a peer address at once; <see cref="Send"/> ones may.</param>
/// <param name="Send">sendto, sendmsg, sendmmsg.</param>
/// <param name="Accept">accept and accept4.</param>
/// <param name="Exec">execve and execveat.</param>
/// <param name="Socket">socket(2): a connect record does not say whether it is a stream's.</param>
/// <param name="SocketCall">The old multiplexer of 32-bit x86; null elsewhere.</param>
internal sealed record AuditSyscalls(uint Arch, uint[] Connect, uint[] Send, uint[] Accept, uint[] Exec, uint[] Socket, uint? SocketCall)
{
    /// <summary>io_uring_enter: one number everywhere, as every call added since 2019.</summary>
    public const uint UringEnter = 426;

    private static readonly AuditSyscalls s_x64 = new(
        AuditConstants.AUDIT_ARCH_X86_64, Connect: [42], Send: [44, 46, 307], Accept: [43, 288], Exec: [59, 322], Socket: [41], SocketCall: null);

    private static readonly AuditSyscalls s_i386 = new(
        AuditConstants.AUDIT_ARCH_I386, Connect: [362], Send: [369, 370, 345], Accept: [364], Exec: [11, 358], Socket: [359], SocketCall: 102);

    private static readonly AuditSyscalls s_arm64 = new(
        AuditConstants.AUDIT_ARCH_AARCH64, Connect: [203], Send: [206, 211, 269], Accept: [202, 242], Exec: [221, 281], Socket: [198], SocketCall: null);

    // The AArch32 table, arch/arm/tools/syscall.tbl.
    private static readonly AuditSyscalls s_arm = new(
        AuditConstants.AUDIT_ARCH_ARM, Connect: [283], Send: [290, 296, 374], Accept: [285, 366], Exec: [11, 387], Socket: [281], SocketCall: null);

    /// <summary>The table of this machine's own instruction set, then that of its 32-bit programs.</summary>
    public static (AuditSyscalls Native, AuditSyscalls Compatible) OfThisMachine => RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => (s_x64, s_i386),
        Architecture.Arm64 => (s_arm64, s_arm),
        _ => throw new PlatformNotSupportedException("audit rules are known for x86-64 and AArch64"),
    };
}
