using System.Buffers;
using System.Text;
using ImageSentinel.Kernel.Audit;
using NUnit.Framework;

namespace ImageSentinel.Tests.Kernel;

public sealed class AuditRecordTests
{
    [TestCase("op=set audit_enabled=0 old=1 auid=1000 ses=3 res=1", true)]
    [TestCase("op=set audit_enabled=0 old=1 auid=1000 ses=3 res=0", false)]
    [TestCase("op=set audit_enabled=2 old=1 auid=1000 ses=3 res=1", false)]
    [TestCase("op=set audit_backlog_limit=0 old=64 auid=1000 ses=3 res=1", false)]
    [TestCase("audit_enabled=0 old=1 auid=1000 ses=3 res=1", true)]
    public void Switching_audit_off_is_told(string fields, bool disables)
    {
        Assert.That(ConfigChangeRecord.TryParse(Encoding.ASCII.GetBytes(fields), out ConfigChangeRecord record), Is.EqualTo(OperationStatus.Done));
        Assert.That(record.DisablesAudit, Is.EqualTo(disables));
    }

    [Test]
    public void A_removed_rule_is_told_with_its_key_and_list()
    {
        Assert.That(
            ConfigChangeRecord.TryParse("auid=1000 ses=3 subj=unconfined op=remove_rule key=\"is-net4\" list=4 res=1"u8, out ConfigChangeRecord record),
            Is.EqualTo(OperationStatus.Done));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(record.IsRuleRemoved, Is.True);
            Assert.That(record.IsRuleAdded, Is.False);
            Assert.That(AuditValue.TextEquals(record.Key, "is-net4"u8), Is.True);
            Assert.That(record.List, Is.EqualTo(4));
            Assert.That(record.LoginUserId, Is.EqualTo(1000));
        }
    }

    [Test]
    public void An_overlay_device_is_read_as_hexadecimal()
    {
        Assert.That(
            PathRecord.TryParse("item=0 name=\"/bin/sh\" inode=18446744073709551615 dev=00:2c mode=0100755 ouid=0 nametype=NORMAL"u8, out PathRecord path),
            Is.EqualTo(OperationStatus.Done));

        using (Assert.EnterMultipleScope())
        {
            Assert.That((path.DeviceMajor, path.DeviceMinor), Is.EqualTo((0u, 44u)));
            Assert.That(path.Inode, Is.EqualTo(ulong.MaxValue));
            Assert.That(path.Mode, Is.EqualTo(0x81edu));
        }
    }

    [TestCase("item=0 dev=fe")]
    [TestCase("item=0 dev=fe:")]
    [TestCase("item=0 dev=:00")]
    [TestCase("item=0 dev=fe:0g")]
    [TestCase("item=0 inode=-1")]
    [TestCase("name=\"/x\" inode=1")]
    public void Paths_that_contradict_themselves_are_refused(string fields)
        => Assert.That(PathRecord.TryParse(Encoding.ASCII.GetBytes(fields), out _), Is.EqualTo(OperationStatus.InvalidData));

    [Test]
    public void A_path_without_a_file_has_no_inode()
    {
        Assert.That(PathRecord.TryParse("item=0 name=\"/nope\" nametype=UNKNOWN"u8, out PathRecord path), Is.EqualTo(OperationStatus.Done));
        Assert.That(path.HasInode, Is.False);
    }

    [TestCase(1100, true)]
    [TestCase(1112, true)]
    [TestCase(1199, true)]
    [TestCase(1200, true)]
    [TestCase(1299, true)]
    [TestCase(2000, true)]
    [TestCase(2100, true)]
    [TestCase(2999, true)]
    [TestCase(1005, true)]
    [TestCase(1006, false)]
    [TestCase(1300, false)]
    [TestCase(1305, false)]
    [TestCase(1326, false)]
    [TestCase(1400, false)]
    [TestCase(1700, false)]
    [TestCase(3000, false)]
    public void Only_messages_of_programs_are_whole_events(int type, bool whole)
        => Assert.That(AuditRecordType.IsWholeEvent((ushort)type), Is.EqualTo(whole));
}
