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

    private static IEnumerable<string> Texts(IEnumerable<SensorItem> items)
        => CollectingQueue.Datagrams(items, SensorKind.Audit).Where(d => d.Length > 16).Select(d => Encoding.Latin1.GetString(d, 16, d.Length - 16));

    private static string Describe(AuditControl control)
    {
        AuditStatus status = control.GetStatus();
        return $"enabled={status.Enabled} limit={status.BacklogLimit} wait={status.BacklogWaitTime}\n"
            + string.Join('\n', control.ListRules().Select(r => Convert.ToHexString(r.Encode(adding: false)) + r.Key));
    }
}
