using System.Diagnostics;
using System.Text;
using ImageSentinel.Kernel.Audit;
using ImageSentinel.Sensors.Audit;
using ImageSentinel.Sensors.Stream;
using ImageSentinel.Tests.Support;
using NUnit.Framework;

namespace ImageSentinel.Tests.Sensors;

/// <summary>Against the real kernel. One at a time: the rules are the host's.</summary>
[RequiresAudit]
[NonParallelizable]
public sealed class AuditSensorTests
{
    [Test]
    public async Task Rules_are_gone_after_a_stop_and_settings_are_as_before()
    {
        using var control = AuditControl.Open();
        string before = Describe(control);

        var sensor = new AuditSensor(new AuditSensorOptions());
        sensor.Start(new CollectingQueue());
        string during = Describe(control);
        SensorStatus status = sensor.Status;
        await sensor.DisposeAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(status.Health, Is.EqualTo(SensorHealth.Active), status.Reason);
            Assert.That(during, Does.Contain("is-net4").And.Contain("is-uring").And.Contain("is-exec"));
            Assert.That(Describe(control), Is.EqualTo(before));
        }
    }

    [Test]
    public async Task Connect_of_another_process_is_seen_with_its_address_and_our_key()
    {
        var queue = new CollectingQueue();
        await using var sensor = new AuditSensor(new AuditSensorOptions());
        sensor.Start(queue);

        // 127.0.0.1 port 9: UDP, so nothing leaves the socket.
        using Process child = Process.Start("/bin/bash", ["-c", "exec 3<>/dev/udp/127.0.0.1/9"]);
        await child.WaitForExitAsync();

        bool seen = queue.WaitFor(items => Texts(items).Any(t => t.Contains($"pid={child.Id} ", StringComparison.Ordinal) && t.Contains("key=\"is-net4\"", StringComparison.Ordinal)));
        bool address = queue.WaitFor(items => Texts(items).Any(t => t.Contains("saddr=020000097F000001", StringComparison.Ordinal)));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(seen, Is.True, "SYSCALL record");
            Assert.That(address, Is.True, "SOCKADDR record");
        }
    }

    [Test]
    public async Task Removed_rule_is_told_as_tampering_and_comes_back()
    {
        var notices = new List<ImageSentinel.Sensors.Reading.SensorNotice>();
        using var told = new ManualResetEventSlim();
        await using var sensor = new AuditSensor(
            new AuditSensorOptions { PollInterval = TimeSpan.FromMilliseconds(50) },
            notice =>
            {
                lock (notices)
                {
                    notices.Add(notice);
                }

                if (notice.Kind == ImageSentinel.Sensors.Reading.SensorNoticeKind.Tampered)
                {
                    told.Set();
                }
            });
        sensor.Start(new CollectingQueue());
        using var control = AuditControl.Open();
        AuditRule victim = control.ListRules().Single(r => r.Key == "is-net6");

        int errno = control.DeleteRule(victim);
        bool noticed = told.Wait(TimeSpan.FromSeconds(15));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(errno, Is.Zero);
            Assert.That(noticed, Is.True);
            Assert.That(notices.Select(n => n.Detail), Has.Some.Contains("is-net6"));
            Assert.That(control.ListRules().Any(victim.SameAs), Is.True);
        }
    }

    [Test]
    public async Task Rules_of_a_killed_predecessor_are_swept_and_foreign_ones_stay()
    {
        using var control = AuditControl.Open();

        // A pid that nobody has: pid_max is at most 2^22.
        AuditRule left = AuditRuleSet.Fixed(ownPid: 0x500000).First();
        AuditRule foreign = new(left.List, left.Action, left.Calls, [new AuditField(18, 0x40000000, 0x500001)], "is-self");
        Assert.That((control.AddRule(left), control.AddRule(foreign)), Is.EqualTo((0, 0)));
        try
        {
            await using (var sensor = new AuditSensor(new AuditSensorOptions()))
            {
                sensor.Start(new CollectingQueue());

                IReadOnlyList<AuditRule> during = control.ListRules();
                using (Assert.EnterMultipleScope())
                {
                    Assert.That(during.Any(left.SameAs), Is.False);
                    Assert.That(during.Any(foreign.SameAs), Is.True);
                    Assert.That(during.Any(AuditRuleSet.Fixed(Environment.ProcessId).First().SameAs), Is.True);
                }
            }

            Assert.That(control.ListRules().Any(foreign.SameAs), Is.True);
        }
        finally
        {
            control.DeleteRule(left);
            control.DeleteRule(foreign);
        }
    }

    [Test]
    public async Task Engine_that_comes_and_goes_has_rules_while_it_is_there()
    {
        using var control = AuditControl.Open();
        var engine = new WatchedEngine(987654321, 7, 7, "/bin/true");
        await using var sensor = new AuditSensor(new AuditSensorOptions());
        sensor.Start(new CollectingQueue());

        sensor.WatchEngine(engine);
        string[] during = Ours(control, engine);
        sensor.ForgetEngine(engine);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(during, Is.EqualTo(new[] { "is-dock", "is-dock32", "is-acc" }));
            Assert.That(Ours(control, engine), Is.Empty);
        }
    }

    [Test]
    public async Task Inode_that_no_rule_can_carry_is_a_reason()
    {
        await using var sensor = new AuditSensor(new AuditSensorOptions());
        sensor.Start(new CollectingQueue());

        sensor.WatchEngine(new WatchedEngine(1ul << 40, 7, 7, null));

        Assert.That(sensor.Status, Has.Property("Health").EqualTo(SensorHealth.Degraded).And.Property("Reason").Contains("1099511627776"));
    }

    [Test]
    public async Task Foreign_rule_that_silences_new_processes_is_told()
    {
        using var control = AuditControl.Open();

        // On a uid that nobody has: the rule itself must harm nobody here.
        var rule = new AuditRule(1, 0, [], [new AuditField(1, 0x40000000, 3999999999)], "");
        Assert.That(control.AddRule(rule), Is.Zero);
        try
        {
            await using var sensor = new AuditSensor(new AuditSensorOptions());
            sensor.Start(new CollectingQueue());

            Assert.That(sensor.Status.Reason, Does.Contain("never,task"));
        }
        finally
        {
            control.DeleteRule(rule);
        }
    }

    [Test]
    public async Task Owner_of_the_daemon_role_gets_the_records_and_gives_the_role_back()
    {
        using var control = AuditControl.Open();
        Assume.That(control.GetStatus().OwnerProcessId, Is.Zero, "somebody has the role on this machine");
        var queue = new CollectingQueue();
        await using (var sensor = new AuditSensor(new AuditSensorOptions { Reading = AuditReading.Owner }))
        {
            sensor.Start(queue);
            using Process child = Process.Start("/bin/bash", ["-c", "exec 3<>/dev/udp/127.0.0.1/9"]);
            await child.WaitForExitAsync();
            bool seen = queue.WaitFor(items => Texts(items).Any(t => t.Contains($"pid={child.Id} ", StringComparison.Ordinal) && t.Contains("syscall=42", StringComparison.Ordinal)));

            using (Assert.EnterMultipleScope())
            {
                Assert.That(sensor.Status.Health, Is.EqualTo(SensorHealth.Active), sensor.Status.Reason);
                Assert.That(sensor.Reading, Is.EqualTo(AuditReading.Owner));
                Assert.That(control.GetStatus().OwnerProcessId, Is.EqualTo((uint)Environment.ProcessId));
                Assert.That(seen, Is.True);
            }
        }

        Assert.That(control.GetStatus().OwnerProcessId, Is.Zero);
    }

    [Test]
    public async Task Living_owner_of_the_daemon_role_keeps_it()
    {
        using var control = AuditControl.Open();
        Assume.That(control.GetStatus().OwnerProcessId, Is.Zero, "somebody has the role on this machine");
        using Process daemon = Process.Start(new ProcessStartInfo("/usr/bin/python3", ["-c", Daemon]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        string? answers = await daemon.StandardOutput.ReadLineAsync();

        await using var sensor = new AuditSensor(new AuditSensorOptions { Reading = AuditReading.Owner });
        sensor.Start(new CollectingQueue());
        sensor.Poll();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(answers, Is.EqualTo("0 0"));
            Assert.That((sensor.Reading, sensor.ForeignOwner), Is.EqualTo((AuditReading.Multicast, (int?)daemon.Id)));
            Assert.That(sensor.Status.Health, Is.EqualTo(SensorHealth.Active), sensor.Status.Reason);
            Assert.That(control.GetStatus().OwnerProcessId, Is.EqualTo((uint)daemon.Id));
        }

        daemon.StandardInput.Close();
        await daemon.WaitForExitAsync();
    }

    [Test]
    public async Task Role_of_a_daemon_that_was_killed_is_taken()
    {
        using var control = AuditControl.Open();
        Assume.That(control.GetStatus().OwnerProcessId, Is.Zero, "somebody has the role on this machine");
        using Process daemon = Process.Start(new ProcessStartInfo("/usr/bin/python3", ["-c", Daemon]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        await daemon.StandardOutput.ReadLineAsync();
        daemon.Kill(); // the kernel may go on naming its pid
        await daemon.WaitForExitAsync();

        await using var sensor = new AuditSensor(new AuditSensorOptions { Reading = AuditReading.Owner });
        sensor.Start(new CollectingQueue());

        Assert.That((sensor.Reading, sensor.ForeignOwner), Is.EqualTo((AuditReading.Owner, (int?)null)));
    }

    [Test]
    public async Task Daemon_that_starts_later_gets_the_role_at_its_second_attempt_and_no_record_is_missed()
    {
        using var control = AuditControl.Open();
        Assume.That(control.GetStatus().OwnerProcessId, Is.Zero, "somebody has the role on this machine");
        var queue = new CollectingQueue();
        await using var sensor = new AuditSensor(new AuditSensorOptions { Reading = AuditReading.Owner });
        sensor.Start(queue);

        // As auditd does: register, and after a refusal once more; then wait for its input to close.
        using Process daemon = Process.Start(new ProcessStartInfo("/usr/bin/python3", ["-c", Daemon]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        string? answers = await daemon.StandardOutput.ReadLineAsync();
        using Process child = Process.Start("/bin/bash", ["-c", "exec 3<>/dev/udp/127.0.0.1/9"]);
        await child.WaitForExitAsync();
        bool seen = queue.WaitFor(items => Texts(items).Any(t => t.Contains($"pid={child.Id} ", StringComparison.Ordinal) && t.Contains("syscall=42", StringComparison.Ordinal)));
        uint owner = control.GetStatus().OwnerProcessId;
        daemon.StandardInput.Close();
        await daemon.WaitForExitAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(answers, Is.EqualTo("-17 0"), "refused once, then accepted");
            Assert.That(owner, Is.EqualTo((uint)daemon.Id));
            Assert.That(sensor.Reading, Is.EqualTo(AuditReading.Multicast));
            Assert.That(sensor.Status.Health, Is.EqualTo(SensorHealth.Active), sensor.Status.Reason);
            Assert.That(seen, Is.True);
        }
    }

    [Test]
    public async Task Role_is_free_by_the_time_a_starting_auditd_asks_for_it()
    {
        using var control = AuditControl.Open();
        Assume.That(control.GetStatus().OwnerProcessId, Is.Zero, "somebody has the role on this machine");
        await using var sensor = new AuditSensor(new AuditSensorOptions { Reading = AuditReading.Owner });
        sensor.Start(new CollectingQueue());
        DirectoryInfo directory = Directory.CreateTempSubdirectory("is-auditd-");
        try
        {
            File.CreateSymbolicLink(Path.Combine(directory.FullName, "auditd"), "/bin/sleep");
            using Process daemon = Process.Start(Path.Combine(directory.FullName, "auditd"), ["60"]);
            bool yielded = SpinWait.SpinUntil(() => sensor.Reading == AuditReading.Multicast && control.GetStatus().OwnerProcessId == 0, TimeSpan.FromSeconds(15));
            daemon.Kill();
            await daemon.WaitForExitAsync();

            Assert.That(yielded, Is.True);
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    private const string Daemon = """
        import os, socket, struct, sys, time
        s = socket.socket(16, socket.SOCK_RAW, 9)
        s.settimeout(5)
        def register(pid):
            body = struct.pack('11I', 4, 0, 0, pid, 0, 0, 0, 0, 0, 0, 0)
            s.send(struct.pack('IHHII', 16 + len(body), 1001, 5, 1, 0) + body)
            while True:
                answer = s.recv(16384)
                if struct.unpack_from('H', answer, 4)[0] == 2:
                    return struct.unpack_from('i', answer, 16)[0]
        first = register(os.getpid())
        second, tries = first, 0
        while second == -17 and tries < 100:
            time.sleep(0.05)
            second, tries = register(os.getpid()), tries + 1
        print(first, second, flush=True)
        sys.stdin.read()
        register(0)
        """;

    private static string[] Ours(AuditControl control, WatchedEngine engine)
    {
        IReadOnlyList<AuditRule> listed = control.ListRules();
        return [.. AuditRuleSet.ForEngine(engine).Where(r => listed.Any(r.SameAs)).Select(r => r.Key)];
    }

    private static IEnumerable<string> Texts(IEnumerable<SensorItem> items)
        => CollectingQueue.Datagrams(items, SensorKind.Audit).Where(d => d.Length > 16).Select(d => Encoding.Latin1.GetString(d, 16, d.Length - 16));

    private static string Describe(AuditControl control)
    {
        AuditStatus status = control.GetStatus();
        return $"enabled={status.Enabled} limit={status.BacklogLimit} wait={status.BacklogWaitTime}\n"
            + string.Join('\n', control.ListRules().Select(r => Convert.ToHexString(r.Encode(adding: false)) + r.Key));
    }
}
