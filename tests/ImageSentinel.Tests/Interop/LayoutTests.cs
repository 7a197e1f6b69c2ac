using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using ImageSentinel.Interop;
using ImageSentinel.Kernel.Audit;
using ImageSentinel.Kernel.Fanotify;
using ImageSentinel.Kernel.Netlink;
using ImageSentinel.Kernel.Numbers;
using ImageSentinel.Sensors.Fanotify;
using ImageSentinel.Tests.Support;
using NUnit.Framework;

namespace ImageSentinel.Tests.Interop;

/// <summary>Holds every structure, offset and constant that is repeated in managed code against a C compiler.</summary>
[RequiresCompiler]
public sealed partial class LayoutTests
{
    private static readonly Lazy<Truth> s_truth = new(Compile);

    /// <summary>Constants that carry C names: whole classes of them.</summary>
    private static readonly Type[] s_constantClasses =
    [
        typeof(NativeConstants),
        typeof(Errno),
        .. typeof(AuditConstants).Assembly.GetTypes().Where(t => t.Namespace == typeof(AuditConstants).Namespace && t.Name.EndsWith("Constants", StringComparison.Ordinal)),
    ];

    /// <summary>Numbers that carry our names.</summary>
    private static readonly (string Name, ulong Value)[] s_renamed =
    [
        ("FAN_REPORT_PIDFD", (ulong)FanotifyReport.PidFd),
        ("FAN_REPORT_FID", (ulong)FanotifyReport.Fid),
        ("FAN_REPORT_DIR_FID", (ulong)FanotifyReport.DirFid),
        ("FAN_REPORT_NAME", (ulong)FanotifyReport.Name),
        ("FAN_REPORT_TARGET_FID", (ulong)FanotifyReport.TargetFid),
        ("FAN_MARK_ADD", (ulong)FanotifyMark.Add),
        ("FAN_MARK_REMOVE", (ulong)FanotifyMark.Remove),
        ("FAN_MARK_DONT_FOLLOW", (ulong)FanotifyMark.DontFollow),
        ("FAN_MARK_ONLYDIR", (ulong)FanotifyMark.OnlyDir),
        ("FAN_MARK_FILESYSTEM", (ulong)FanotifyMark.FileSystem),
        ("FAN_MODIFY", FileEventMask.Modify),
        ("FAN_CLOSE_WRITE", FileEventMask.CloseWrite),
        ("FAN_MOVED_FROM", FileEventMask.MovedFrom),
        ("FAN_MOVED_TO", FileEventMask.MovedTo),
        ("FAN_CREATE", FileEventMask.Create),
        ("FAN_DELETE", FileEventMask.Delete),
        ("FAN_OPEN_EXEC", FileEventMask.OpenExec),
        ("FAN_Q_OVERFLOW", FileEventMask.Overflow),
        ("FAN_EVENT_ON_CHILD", FileEventMask.OnChild),
        ("FAN_ONDIR", FileEventMask.OnDirectory),
        ("NETLINK_AUDIT", (ulong)NetlinkFamily.Audit),
        ("NETLINK_CONNECTOR", (ulong)NetlinkFamily.Connector),
        ("NETLINK_NETFILTER", (ulong)NetlinkFamily.Netfilter),
        .. Enum.GetValues<Capability>().Select(c => (Capabilities.NameOf(c), (ulong)c)),
    ];

    /// <summary>Sizes and offsets that the Kernel project reads by.</summary>
    private static readonly (string Name, long Value)[] s_wire =
    [
        ("offsetof(nlmsghdr,nlmsg_len)", 0),
        ("sizeof(nlmsghdr)", NetlinkFrame.HeaderSize),
        ("offsetof(nlmsghdr,nlmsg_type)", 4),
        ("offsetof(nlmsghdr,nlmsg_flags)", 6),
        ("offsetof(nlmsghdr,nlmsg_seq)", 8),
        ("offsetof(nlmsghdr,nlmsg_pid)", 12),
        ("offsetof(audit_status,mask)", 0),
        ("sizeof(audit_status)", AuditStatus.Size),
        ("offsetof(audit_status,enabled)", 4),
        ("offsetof(audit_status,pid)", 12),
        ("offsetof(audit_status,backlog_limit)", 20),
        ("offsetof(audit_status,lost)", 24),
        ("offsetof(audit_status,backlog)", 28),
        ("offsetof(audit_status,backlog_wait_time)", 36),
        ("offsetof(audit_rule_data,flags)", 0),
        ("offsetof(audit_rule_data,buf)", AuditRule.HeaderSize),
        ("offsetof(audit_rule_data,action)", 4),
        ("offsetof(audit_rule_data,field_count)", 8),
        ("offsetof(audit_rule_data,mask)", 12),
        ("offsetof(audit_rule_data,fields)", 268),
        ("offsetof(audit_rule_data,values)", 524),
        ("offsetof(audit_rule_data,fieldflags)", 780),
        ("offsetof(audit_rule_data,buflen)", 1036),
        ("offsetof(fanotify_event_metadata,event_len)", 0),
        ("sizeof(fanotify_event_metadata)", FanotifyEventReader.MetadataSize),
        ("offsetof(fanotify_event_metadata,vers)", 4),
        ("offsetof(fanotify_event_metadata,metadata_len)", 6),
        ("offsetof(fanotify_event_metadata,mask)", 8),
        ("offsetof(fanotify_event_metadata,fd)", 16),
        ("offsetof(fanotify_event_metadata,pid)", 20),
        ("sizeof(fanotify_event_info_header)", 4),
        ("offsetof(fanotify_event_info_header,len)", 2),
        ("offsetof(fanotify_event_info_fid,fsid)", 4),
        ("offsetof(fanotify_event_info_fid,handle)", 12),
        ("offsetof(cn_msg,data)", 20),
        ("sizeof(cn_msg)", 20),
        ("offsetof(cn_msg,seq)", 8),
        ("offsetof(cn_msg,len)", 16),
        ("offsetof(proc_event,cpu)", 4),
        ("offsetof(proc_event,timestamp_ns)", 8),
        ("offsetof(proc_event,event_data)", 16),
        ("sizeof(nfgenmsg)", 4),
        ("sizeof(nlattr)", 4),
    ];

    [TestCaseSource(nameof(ConstantClasses))]
    public void Constants_are_what_the_headers_say(Type constants)
        => Assert.That(Differences(ValuesOf(constants)), Is.Empty);

    [Test]
    public void Renamed_constants_are_what_the_headers_say()
        => Assert.That(Differences(s_renamed), Is.Empty);

    // Headers may be older than the kernel they run on; a name they lack cannot be compared.
    [Test]
    public void Nearly_all_constants_could_be_compared()
        => Assert.That(s_truth.Value.Undeclared, Has.Count.LessThan(Names().Count() / 20), string.Join(' ', s_truth.Value.Undeclared));

    [Test]
    public void Structures_have_the_layout_that_the_compiler_gives()
        => Assert.That(Structures().Where(s => s.Value != s_truth.Value.Values[s.Name]), Is.Empty);

    [Test]
    public void No_number_of_the_C_program_goes_unread()
    {
        IEnumerable<string> printed = s_truth.Value.Values.Keys.Where(name => name.Contains('(', StringComparison.Ordinal));

        // A flexible array at its end makes this size mean nothing.
        Assert.That(printed.Except(Structures().Select(s => s.Name)), Is.EqualTo(new[] { "sizeof(audit_rule_data)" }));
    }

    public static IEnumerable<Type> ConstantClasses() => s_constantClasses;

    // C prints int constants signed and 64-bit ones as they are: the bits are what counts.
    private static IEnumerable<string> Differences(IEnumerable<(string Name, ulong Value)> constants)
        => constants
            .Where(c => !s_truth.Value.Undeclared.Contains(c.Name))
            .Where(c => c.Value != (ulong)s_truth.Value.Values[c.Name] && c.Value != (uint)s_truth.Value.Values[c.Name])
            .Select(c => $"{c.Name} is {c.Value} here and {s_truth.Value.Values[c.Name]} in C");

    private static IEnumerable<(string Name, long Value)> Structures()
    {
        foreach ((string Name, long Value) wire in s_wire)
        {
            yield return wire;
        }

        foreach (Type type in typeof(NativeConstants).Assembly.GetTypes().Where(t => t.IsValueType && t.IsLayoutSequential && t.Namespace == typeof(NativeConstants).Namespace && char.IsLower(t.Name[0])))
        {
            // The handle has room at its end that C has not.
            if (type != typeof(file_handle_max))
            {
                yield return ($"sizeof({type.Name})", Marshal.SizeOf(type));
            }

            // What we never touch (the rest of statfs) has another shape here.
            foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
                .Where(f => s_truth.Value.Values.ContainsKey($"offsetof({type.Name},{f.Name})")))
            {
                yield return ($"offsetof({type.Name},{field.Name})", Marshal.OffsetOf(type, field.Name));
            }
        }
    }

    private static IEnumerable<(string Name, ulong Value)> ValuesOf(Type constants)
        => constants
            .GetFields(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)
            .Where(f => f.IsLiteral)
            .Select(f => (f.Name, Unsigned(f.GetRawConstantValue()!)));

    private static IEnumerable<string> Names() => s_constantClasses.SelectMany(ValuesOf).Concat(s_renamed).Select(c => c.Name).Distinct();

    private static ulong Unsigned(object value) => value switch
    {
        ulong number => number,
        _ => unchecked((ulong)Convert.ToInt64(value, CultureInfo.InvariantCulture)),
    };

    // The compiler names every identifier it does not know at once: leave those out and compile again.
    private static Truth Compile()
    {
        string directory = Directory.CreateTempSubdirectory("is-layout-").FullName;
        try
        {
            string source = RepositoryFiles.PathOf("native", "layout", "layout.c");
            string header = Path.Combine(directory, "constants.h");
            string program = Path.Combine(directory, "layout");
            HashSet<string> undeclared = [];
            for (int round = 0; round < 4; round++)
            {
                File.WriteAllText(header, "#define CONSTANTS " + string.Concat(Names().Except(undeclared).Select(n => $"VALUE({n}); ")) + "\n");
                (int code, string output) = Run("cc", "-std=gnu11", "-include", header, "-o", program, source);
                if (code == 0)
                {
                    (_, string values) = Run(program);
                    return new Truth(
                        values.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                            .Select(line => line.Split(' '))
                            .ToDictionary(words => words[0], words => long.Parse(words[1], CultureInfo.InvariantCulture)),
                        undeclared);
                }

                int before = undeclared.Count;
                undeclared.UnionWith(UndeclaredName().Matches(output).Select(m => m.Groups["name"].Value));
                Assert.That(undeclared, Has.Count.GreaterThan(before), output);
            }

            throw new InvalidOperationException("the compiler keeps finding new undeclared names");
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static (int Code, string Output) Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["LC_ALL"] = "C" },
        })!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + errors.Result);
    }

    // gcc and clang: 'X' undeclared, use of undeclared identifier 'X'.
    [GeneratedRegex("(?:undeclared identifier '(?<name>[A-Za-z_0-9]+)')|(?:'(?<name>[A-Za-z_0-9]+)' undeclared)")]
    private static partial Regex UndeclaredName();

    private sealed record Truth(IReadOnlyDictionary<string, long> Values, IReadOnlySet<string> Undeclared);
}
