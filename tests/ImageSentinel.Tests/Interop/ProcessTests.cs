using System.Net.Sockets;
using System.Text;
using ImageSentinel.Interop;
using ImageSentinel.Tests.Support;
using NUnit.Framework;

namespace ImageSentinel.Tests.Interop;

public sealed class ProcessTests
{
    // Field 22 of 52; the name may hold anything a process likes.
    [TestCase("42 (sh) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 1 2", 123450000000)]
    [TestCase("42 (a) b (c) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 7 1 2", 70000000)]
    [TestCase("42 () ) R 0) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9 1 2", 90000000)]
    public void Start_time_is_found_behind_any_name(string stat, long expected)
    {
        bool found = ProcessStat.TryParseStartTime(Encoding.ASCII.GetBytes(stat), out long start);

        Assert.That((found, start), Is.EqualTo((true, expected)));
    }

    [TestCase("")]
    [TestCase("42 (sh")]
    [TestCase("42 (sh) S 1 42")]
    [TestCase("42 (sh) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 -5 1 2")]
    [TestCase("42 (sh) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 x 1 2")]
    public void Line_that_is_no_stat_gives_no_start_time(string stat)
        => Assert.That(ProcessStat.TryParseStartTime(Encoding.ASCII.GetBytes(stat), out _), Is.False);

    [Test]
    public void Own_start_time_lies_before_now_and_a_dead_process_has_none()
    {
        using ChildProcess child = ChildProcess.Start("/bin/true");
        child.TryWait(TimeSpan.FromSeconds(15));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(ProcessStat.TryReadStartTime(Environment.ProcessId, out long own), Is.True);
            Assert.That(own, Is.GreaterThan(0).And.LessThan(Clocks.BootNanoseconds));
            Assert.That(ProcessStat.TryReadStartTime(child.Pid, out _), Is.False);
        }
    }

    [Test]
    public void Child_is_reaped_with_its_exit_code()
    {
        using ChildProcess child = ChildProcess.Start("/bin/sh", "-c", "exit 7");

        Assert.That((child.TryWait(TimeSpan.FromSeconds(15)), child.ExitCode), Is.EqualTo((true, 7)));
    }

    [Test]
    public void Child_that_hangs_is_killed_when_given_up()
    {
        ChildProcess child = ChildProcess.Start("/bin/sleep", "1000");
        using PidFd watch = PidFd.TryOpen(child.Pid)!;

        bool ended = child.TryWait(TimeSpan.FromMilliseconds(1));
        child.Dispose();

        Assert.That((ended, watch.IsAlive, child.ExitCode), Is.EqualTo((false, false, 128 + 9)));
    }

    [Test]
    public void Program_that_is_not_there_is_an_errno()
        => Assert.That(() => ChildProcess.Start("/nowhere"), Throws.InstanceOf<LinuxException>().With.Property("Errno").EqualTo(Errno.ENOENT));

    [Test]
    public void Pidfd_of_a_process_that_is_gone_is_null()
    {
        using ChildProcess child = ChildProcess.Start("/bin/true");
        child.TryWait(TimeSpan.FromSeconds(15));

        Assert.That(PidFd.TryOpen(child.Pid), Is.Null);
    }

    [Test]
    [RequiresRoot]
    public void Peer_of_a_socket_that_another_process_holds_is_told_by_the_kernel()
    {
        string path = Path.Combine(Path.GetTempPath(), $"is-peer-{Environment.ProcessId}");
        File.Delete(path);
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        using ChildProcess client = ChildProcess.Start("/usr/bin/python3", "-c", $"import socket,time; s=socket.socket(1); s.connect('{path}'); time.sleep(60)");
        using Socket accepted = listener.Accept();
        File.Delete(path);

        // Our own process, asked for as the engine would be.
        using PidFd self = PidFd.TryOpen(Environment.ProcessId)!;
        PeerCredentials? byNumber = self.PeerOf((int)accepted.SafeHandle.DangerousGetHandle());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(byNumber, Is.EqualTo(new PeerCredentials(client.Pid, 0, 0)));
            Assert.That(PidFd.PeerOf(accepted.SafeHandle), Is.EqualTo(byNumber));
            Assert.That(self.PeerOf(9999), Is.Null);
        }
    }

    [Test]
    public void Second_agent_does_not_get_the_lock_and_the_first_ones_death_frees_it()
    {
        string path = Path.Combine(Path.GetTempPath(), $"is-lock-{Environment.ProcessId}");
        try
        {
            using (InstanceLock? first = InstanceLock.TryTake(path))
            {
                Assert.That(first, Is.Not.Null);
                Assert.That(InstanceLock.TryTake(path), Is.Null);
                // Not File.ReadAllText: .NET takes a lock of its own to read.
                SafeFile.ReadBeneath(Path.GetTempPath(), Path.GetFileName(path), 100, out byte[] content);
                Assert.That(Encoding.ASCII.GetString(content), Is.EqualTo($"{Environment.ProcessId}\n"));
            }

            using InstanceLock? second = InstanceLock.TryTake(path);
            Assert.That(second, Is.Not.Null);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Test]
    public void Missing_capabilities_carry_the_names_of_unit_files()
    {
        string status = File.ReadLines("/proc/self/status").Single(l => l.StartsWith("CapEff:", StringComparison.Ordinal));
        ulong effective = Convert.ToUInt64(status[7..].Trim(), 16);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Capabilities.Effective(), Is.EqualTo(effective));
            Assert.That(Capabilities.Missing().Contains("CAP_SYS_ADMIN"), Is.EqualTo((effective & (1ul << 21)) == 0));
        }
    }

    [Test]
    public void Clocks_advance_and_boot_time_includes_monotonic_time()
    {
        long monotonic = Clocks.MonotonicNanoseconds;
        long boot = Clocks.BootNanoseconds;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Clocks.BootNanoseconds, Is.GreaterThanOrEqualTo(boot));
            Assert.That(boot, Is.GreaterThanOrEqualTo(monotonic));
            Assert.That(DateTimeOffset.FromUnixTimeMilliseconds(Clocks.WallNanoseconds / 1_000_000), Is.EqualTo(DateTimeOffset.UtcNow).Within(TimeSpan.FromMinutes(1)));
        }
    }

    [Test]
    public void Journal_is_there_or_says_why_not()
    {
        if (Journal.Absence is { } absence)
        {
            Assert.That(absence, Is.Not.Empty);
            Assert.That(() => Journal.Send([Encoding.UTF8.GetBytes("MESSAGE=x")]), Throws.Nothing);
        }
        else
        {
            Assert.That(() => Journal.Send([Encoding.UTF8.GetBytes("no equals sign")]), Throws.InstanceOf<LinuxException>().With.Property("Errno").EqualTo(Errno.EINVAL));
        }
    }
}
