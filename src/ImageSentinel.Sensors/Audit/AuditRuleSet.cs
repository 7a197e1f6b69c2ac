using System.Text;
using ImageSentinel.Kernel.Audit;
using ImageSentinel.Kernel.Numbers;
using static ImageSentinel.Kernel.Numbers.AuditConstants;

namespace ImageSentinel.Sensors.Audit;

/// <summary>An engine as audit rules know it.</summary>
/// <param name="Inode">Inode of its API socket; whatever name a client uses for it, the inode stays.</param>
/// <param name="DeviceMajor">Device of the file system that holds the socket.</param>
/// <param name="DeviceMinor">Same.</param>
/// <param name="DaemonExe">The daemon's program, absolute; null when unknown (its accepted connections are then not recorded).</param>
public sealed record WatchedEngine(ulong Inode, uint DeviceMajor, uint DeviceMinor, string? DaemonExe);

/// <summary>The rules this agent asks for, in the order in which the kernel must try them.</summary>
/// <remarks>
/// The first matching rule of a list wins and its key goes into the record, so narrow comes before wide. Network rules
/// do not ask for success: a connect that is refused or still in progress (-EINPROGRESS, every non-blocking one) is an
/// attempt. Exec rules do: four of five execve calls in a build are failed searches of PATH.
/// Foreign rules come before ours and keep their keys, so a record is judged by its call and address, not by its key.
/// </remarks>
internal static class AuditRuleSet
{
    public const string KeyPrefix = "is-";

    /// <summary>Of the rule that exempts one agent's own network calls.</summary>
    public const string SelfKey = "is-self";

    /// <summary>Rules that hold for the whole run.</summary>
    public static IEnumerable<AuditRule> Fixed(int ownPid)
    {
        (AuditSyscalls native, AuditSyscalls compatible) = AuditSyscalls.OfThisMachine;
        uint[] families = [SocketConstants.AF_INET, SocketConstants.AF_INET6, SocketConstants.AF_UNSPEC];

        // Our own deliveries are not news. Prepended, or the wide rules would match first; by pid, because "exe" would
        // also silence the self-test's child.
        yield return new AuditRule(AUDIT_FILTER_EXIT, AUDIT_NEVER, [.. native.Connect, .. native.Send],
            [Arch(native), Is(AUDIT_PID, (uint)ownPid)], SelfKey)
        { Prepend = true };

        yield return Network("is-net4", native, [.. native.Connect, .. native.Send], SocketConstants.AF_INET);
        yield return Network("is-net6", native, [.. native.Connect, .. native.Send], SocketConstants.AF_INET6);

        // A datagram to family 0 is delivered as IPv4. connect() with family 0 only dissolves an association.
        yield return Network("is-net0", native, native.Send, SocketConstants.AF_UNSPEC);

        uint[] compatibleCalls = compatible.SocketCall is { } call
            ? [call, .. compatible.Connect, .. compatible.Send]
            : [.. compatible.Connect, .. compatible.Send];
        foreach (uint family in families)
        {
            yield return Network("is-net32", compatible, compatibleCalls, family);
        }

        // An address that io_uring copies while io_uring_enter runs is on that call's record, also for SEND, which the
        // io_uring list never reports.
        foreach (uint family in families)
        {
            yield return Network("is-uenter", native, [AuditSyscalls.UringEnter], family);
            yield return Network("is-uenter", compatible, [AuditSyscalls.UringEnter], family);
        }

        // IORING_OP_SENDMSG, _CONNECT, _SENDMSG_ZC. No family: operations that a kernel worker runs carry no address.
        yield return new AuditRule(AUDIT_FILTER_URING_EXIT, AUDIT_ALWAYS, [9, 16, 48], [], "is-uring");

        // A connect record does not tell a stream from a datagram socket, whose connect sends nothing; the socket call
        // does. Raw and packet sockets show here too, before anything is sent.
        foreach (uint family in (uint[])[SocketConstants.AF_INET, SocketConstants.AF_INET6, SocketConstants.AF_PACKET, SocketConstants.AF_VSOCK])
        {
            yield return SocketOf(native, family);
            yield return SocketOf(compatible, family);
        }

        yield return Exec(native);
        yield return Exec(compatible);
    }

    /// <summary>Rules for one engine. Disjoint from the fixed ones, so they may come and go at any time.</summary>
    public static IEnumerable<AuditRule> ForEngine(WatchedEngine engine)
    {
        (AuditSyscalls native, AuditSyscalls compatible) = AuditSyscalls.OfThisMachine;
        uint[] compatibleCalls = compatible.SocketCall is { } call ? [call, .. compatible.Connect] : compatible.Connect;
        AuditField[] socket =
        [
            Is(AUDIT_INODE, (uint)engine.Inode),
            Is(AUDIT_DEVMAJOR, engine.DeviceMajor),
            Is(AUDIT_DEVMINOR, engine.DeviceMinor),
        ];
        yield return new AuditRule(AUDIT_FILTER_EXIT, AUDIT_ALWAYS, [.. native.Connect, AuditSyscalls.UringEnter],
            [Arch(native), .. socket], "is-dock");
        yield return new AuditRule(AUDIT_FILTER_EXIT, AUDIT_ALWAYS, compatibleCalls, [Arch(compatible), .. socket], "is-dock32");

        if (engine.DaemonExe is not null)
        {
            // Go calls accept twice per connection; the second fails with EAGAIN.
            yield return new AuditRule(AUDIT_FILTER_EXIT, AUDIT_ALWAYS, native.Accept,
                [Arch(native), Is(AUDIT_SUCCESS, 1), Exe(engine.DaemonExe)], "is-acc");
        }
    }

    /// <summary>True for a rule that an agent like us added, in this run or one that was killed: a key of ours and exactly
    /// the content we give it, but for what differs between runs (our pid, an engine's socket and program).</summary>
    public static bool IsOurs(AuditRule rule)
    {
        if (!rule.Key.StartsWith(KeyPrefix, StringComparison.Ordinal))
        {
            return false;
        }

        var template = new WatchedEngine(0, 0, 0, "/");
        return Fixed(ownPid: 0).Concat(ForEngine(template)).Any(known => SameButForWhatVaries(known, rule));
    }

    /// <summary>True for the rule by which the agent with this pid exempts itself.</summary>
    public static bool IsSelfRuleOf(AuditRule rule, int pid)
        => rule.Key == SelfKey && rule.Fields.Any(f => f.Field == AUDIT_PID && f.Value == (uint)pid);

    private static bool SameButForWhatVaries(AuditRule known, AuditRule found)
        => known.List == found.List
            && known.Action == found.Action
            && known.Key == found.Key
            && known.Calls.SequenceEqual(found.Calls)
            && known.Fields.Count == found.Fields.Count
            && known.Fields.Zip(found.Fields).All(pair => SameButForWhatVaries(pair.First, pair.Second));

    private static bool SameButForWhatVaries(AuditField known, AuditField found)
        => known.Field == found.Field
            && known.Operator == found.Operator
            && (known.Field is AUDIT_PID or AUDIT_INODE or AUDIT_DEVMAJOR or AUDIT_DEVMINOR or AUDIT_EXE
                || known == found);

    private static AuditRule Network(string key, AuditSyscalls table, uint[] calls, uint family)
        => new(AUDIT_FILTER_EXIT, AUDIT_ALWAYS, calls, [Arch(table), Is(AUDIT_SADDR_FAM, family)], key);

    private static AuditRule Exec(AuditSyscalls table)
        => new(AUDIT_FILTER_EXIT, AUDIT_ALWAYS, table.Exec, [Arch(table), Is(AUDIT_SUCCESS, 1)], "is-exec");

    // A rule's texts are bytes, one per character.
    private static AuditField Exe(string path)
        => new(AUDIT_EXE, AUDIT_EQUAL, 0, Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(path)));

    private static AuditRule SocketOf(AuditSyscalls table, uint family)
        => new(AUDIT_FILTER_EXIT, AUDIT_ALWAYS, table.Socket, [Arch(table), Is(AUDIT_SUCCESS, 1), Is(AUDIT_ARG0, family)], "is-sock");

    private static AuditField Arch(AuditSyscalls table) => Is(AUDIT_ARCH, table.Arch);

    private static AuditField Is(uint field, uint value) => new(field, AUDIT_EQUAL, value);
}
