using ImageSentinel.Interop;
using ImageSentinel.Kernel.Audit;
using ImageSentinel.Sensors.Audit;
using ImageSentinel.Sensors.Reading;
using ImageSentinel.Sensors.Stream;
using ImageSentinel.Tests.Support;
using NUnit.Framework;

namespace ImageSentinel.Tests.Sensors;

/// <summary>What the audit sensor does to a host and what it makes of what others do, on a scripted audit system. The
/// reading socket is the real one, hence root.</summary>
[RequiresAudit]
public sealed class AuditMannersTests
{
    private static readonly AuditRule s_foreign = new(4, 2, [2], [new AuditField(11, 0x40000000, 0xC000003E)], "ops");

    private readonly List<SensorNotice> _notices = [];

    [SetUp]
    public void ForgetNotices() => _notices.Clear();

    [Test]
    public async Task Audit_that_was_off_is_switched_on_and_off_again()
    {
        var audit = new ScriptedAudit { Status = new AuditStatus { Enabled = 0, BacklogLimit = 64, BacklogWaitTime = 15000 } };

        AuditSensor sensor = Start(audit);
        (uint, uint, uint) during = Settings(audit);
        await sensor.DisposeAsync();

        Assert.That((during, Settings(audit), audit.Rules.Count), Is.EqualTo(((1u, 8192u, 0u), (0u, 64u, 15000u), 0)));
    }

    [Test]
    public async Task Audit_that_was_off_stays_on_for_somebody_who_came_to_use_it()
    {
        var audit = new ScriptedAudit { Status = new AuditStatus { Enabled = 0 } };
        AuditSensor sensor = Start(audit);

        audit.Rules.Add(s_foreign);
        await sensor.DisposeAsync();

        Assert.That((audit.Status.Enabled, audit.Rules.Single().Key), Is.EqualTo((1u, "ops")));
    }

    [Test]
    public async Task Setting_that_somebody_changed_after_us_is_left_alone()
    {
        var audit = new ScriptedAudit();
        AuditSensor sensor = Start(audit);

        audit.Status = audit.Status with { BacklogLimit = 20000, BacklogWaitTime = 42 };
        await sensor.DisposeAsync();

        Assert.That(Settings(audit), Is.EqualTo((1u, 20000u, 42u)));
    }

    [Test]
    public async Task Larger_backlog_than_ours_is_not_made_smaller()
    {
        var audit = new ScriptedAudit { Status = new AuditStatus { Enabled = 1, BacklogLimit = 100_000 } };

        await using AuditSensor sensor = Start(audit);

        Assert.That(audit.Status.BacklogLimit, Is.EqualTo(100_000u));
    }

    [Test]
    public async Task Locked_audit_is_told_and_left_as_it_is()
    {
        var audit = new ScriptedAudit { Status = new AuditStatus { Enabled = 2, BacklogLimit = 64, BacklogWaitTime = 15000 } };

        await using AuditSensor sensor = Start(audit);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(sensor.Status.Health, Is.EqualTo(SensorHealth.Degraded));
            Assert.That(sensor.Status.Reason, Does.Contain("locked until reboot"));
            Assert.That((Settings(audit), audit.Rules.Count), Is.EqualTo(((2u, 64u, 15000u), 0)));
        }
    }

    [Test]
    public async Task Refused_rule_degrades_by_its_key_and_the_others_stand()
    {
        var audit = new ScriptedAudit { Refused = { ["is-uring"] = Errno.EINVAL } };

        await using AuditSensor sensor = Start(audit);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(sensor.Status, Is.EqualTo(new SensorStatus(SensorHealth.Degraded, "rule is-uring refused: this kernel does not know one of its conditions")));
            Assert.That(audit.Rules.Select(r => r.Key), Does.Contain("is-net4").And.Contain("is-exec"));
        }
    }

    [Test]
    public async Task Audit_switched_off_by_somebody_is_tampering_and_stays_off_if_it_was_on_before_us()
    {
        var audit = new ScriptedAudit();
        await using AuditSensor sensor = Start(audit);

        audit.Status = audit.Status with { Enabled = 0 };
        sensor.Poll();
        sensor.Poll();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Tampering(), Has.Count.EqualTo(1).And.Some.Contains("switched off"));
            Assert.That(sensor.Status.Health, Is.EqualTo(SensorHealth.Degraded));
            Assert.That(audit.Status.Enabled, Is.Zero);
        }
    }

    [Test]
    public async Task Audit_switched_off_by_somebody_is_switched_on_again_if_we_had_switched_it_on()
    {
        var audit = new ScriptedAudit { Status = new AuditStatus { Enabled = 0 } };
        await using AuditSensor sensor = Start(audit);
        sensor.Poll();

        audit.Status = audit.Status with { Enabled = 0 };
        sensor.Poll();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Tampering(), Has.Count.EqualTo(1));
            Assert.That(audit.Status.Enabled, Is.EqualTo(1u));
            Assert.That(sensor.Status.Health, Is.EqualTo(SensorHealth.Active));
        }
    }

    [Test]
    public async Task Removed_rules_are_told_once_and_added_again()
    {
        var audit = new ScriptedAudit();
        await using AuditSensor sensor = Start(audit);
        int before = audit.Rules.Count;

        audit.Rules.Clear();
        sensor.Poll();
        sensor.Poll();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Tampering(), Has.Count.EqualTo(1).And.Some.Contains("is-net4").And.Some.Contains("is-exec"));
            Assert.That(audit.Rules, Has.Count.EqualTo(before));
        }
    }

    [Test]
    public async Task Rule_that_was_there_before_us_is_not_taken_away()
    {
        var audit = new ScriptedAudit();
        AuditRule twin = AuditRuleSet.ForEngine(new WatchedEngine(1, 2, 3, null)).First();
        await using (AuditSensor sensor = Start(audit))
        {
            audit.Rules.Add(twin);
            sensor.WatchEngine(new WatchedEngine(1, 2, 3, null));
        }

        Assert.That(audit.Rules.Any(twin.SameAs), Is.True);
    }

    [Test]
    public async Task Records_that_the_kernel_lost_become_a_hole_and_a_reset_counter_does_not()
    {
        var queue = new CollectingQueue();
        var audit = new ScriptedAudit { Status = new AuditStatus { Enabled = 1, Lost = uint.MaxValue - 1 } };
        await using AuditSensor sensor = Start(audit, queue);

        audit.Status = audit.Status with { Lost = 5 }; // wrapped: seven lost
        sensor.Poll();
        audit.Status = audit.Status with { Lost = 0 }; // reset by somebody
        sensor.Poll();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_notices.Where(n => n.Kind == SensorNoticeKind.KernelLost).Select(n => n.Records), Is.EqualTo(new[] { 7L }));
            Assert.That(queue.Items.Where(i => i.Kind == SensorKind.Audit && i.LostBefore == 7), Has.Exactly(1).Items);
            Assert.That(sensor.Losses.LostInKernel, Is.EqualTo(7));
        }
    }

    private AuditSensor Start(ScriptedAudit audit, CollectingQueue? queue = null)
    {
        // The timer stays out of it: a test polls when it wants to.
        var sensor = new AuditSensor(new AuditSensorOptions { PollInterval = TimeSpan.FromHours(1) }, Note, () => audit);
        sensor.Start(queue ?? new CollectingQueue());
        return sensor;
    }

    private void Note(SensorNotice notice)
    {
        lock (_notices)
        {
            _notices.Add(notice);
        }
    }

    private List<string> Tampering() => [.. _notices.Where(n => n.Kind == SensorNoticeKind.Tampered).Select(n => n.Detail)];

    private static (uint Enabled, uint BacklogLimit, uint BacklogWaitTime) Settings(ScriptedAudit audit)
        => (audit.Status.Enabled, audit.Status.BacklogLimit, audit.Status.BacklogWaitTime);
}
