using System.Buffers;
using System.Buffers.Binary;
using ImageSentinel.Kernel.Audit;
using ImageSentinel.Kernel.Netlink;
using NUnit.Framework;
using static ImageSentinel.Kernel.Numbers.AuditConstants;

namespace ImageSentinel.Tests.Kernel;

public sealed class AuditRuleTests
{
    private static AuditRule Captured => new(
        AUDIT_FILTER_EXIT,
        AUDIT_ALWAYS,
        [307, 42, 44, 46],
        [new AuditField(AUDIT_ARCH, AUDIT_EQUAL, AUDIT_ARCH_X86_64), new AuditField(AUDIT_SADDR_FAM, AUDIT_EQUAL, 2)],
        "is-net4");

    [Test]
    public void A_rule_is_written_byte_for_byte_as_the_kernel_accepted_it()
        => Assert.That(Captured.Encode(adding: true), Is.EqualTo(KernelCorpus.Read("audit", "rule-connect-saddr-fam2.bin")));

    [Test]
    public void A_listed_rule_is_read_and_recognised()
    {
        Assert.That(AuditRule.TryDecode(KernelCorpus.Read("audit", "rule-connect-saddr-fam2.bin"), out AuditRule? rule), Is.EqualTo(OperationStatus.Done));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rule!.Key, Is.EqualTo("is-net4"));
            Assert.That(rule.Calls, Is.EqualTo(new uint[] { 42, 44, 46, 307 }));
            Assert.That(rule.Fields, Is.EqualTo(Captured.Fields));
            Assert.That(rule.SameAs(Captured), Is.True);
        }
    }

    [Test]
    public void A_rule_is_deleted_without_the_flag_that_put_it_in_front()
    {
        var rule = new AuditRule(AUDIT_FILTER_EXIT, AUDIT_NEVER, [42], [new AuditField(AUDIT_PID, AUDIT_EQUAL, 7)], "is-self") { Prepend = true };

        using (Assert.EnterMultipleScope())
        {
            Assert.That(BinaryPrimitives.ReadUInt32LittleEndian(rule.Encode(adding: true)), Is.EqualTo(AUDIT_FILTER_EXIT | AUDIT_FILTER_PREPEND));
            Assert.That(BinaryPrimitives.ReadUInt32LittleEndian(rule.Encode(adding: false)), Is.EqualTo(AUDIT_FILTER_EXIT));
        }
    }

    [Test]
    public void Rules_of_others_come_back_as_they_were()
    {
        // A key in the middle, texts around it, every call: nothing we would write, but we list and compare it.
        byte[] data = new byte[AuditRule.HeaderSize + 12];
        Put(data, 0, AUDIT_FILTER_EXIT);
        Put(data, 4, AUDIT_ALWAYS);
        Put(data, 8, 3);
        data.AsSpan(12, 256).Fill(0xff);
        (uint Field, uint Length)[] fields = [(AUDIT_EXE, 4), (AUDIT_FILTERKEY, 3), (AUDIT_DIR, 5)];
        for (int i = 0; i < fields.Length; i++)
        {
            Put(data, 268 + (4 * i), fields[i].Field);
            Put(data, 524 + (4 * i), fields[i].Length);
            Put(data, 780 + (4 * i), AUDIT_EQUAL);
        }

        Put(data, 1036, 12);
        "/bin\x00e9ky/dir!"u8[..12].CopyTo(data.AsSpan(AuditRule.HeaderSize));

        Assert.That(AuditRule.TryDecode(data, out AuditRule? rule), Is.EqualTo(OperationStatus.Done));
        Assert.That(rule!.Encode(adding: false), Is.EqualTo(data));
        Assert.That(rule.Calls, Has.Count.EqualTo(AuditRule.MaxCalls));
    }

    [Test]
    public void Rules_that_differ_in_one_thing_are_different()
    {
        AuditRule[] others =
        [
            new(AUDIT_FILTER_EXIT, AUDIT_ALWAYS, [42, 44, 46, 307], Captured.Fields, "is-net5"),
            new(AUDIT_FILTER_EXIT, AUDIT_NEVER, [42, 44, 46, 307], Captured.Fields, "is-net4"),
            new(AUDIT_FILTER_EXIT, AUDIT_ALWAYS, [42, 44, 46], Captured.Fields, "is-net4"),
            new(AUDIT_FILTER_EXIT, AUDIT_ALWAYS, [42, 44, 46, 307], [.. Captured.Fields.Reverse()], "is-net4"),
            new(AUDIT_FILTER_FS, AUDIT_ALWAYS, [42, 44, 46, 307], Captured.Fields, "is-net4"),
        ];

        Assert.That(others.Where(other => other.SameAs(Captured)), Is.Empty);
    }

    [Test]
    public void Every_prefix_and_any_flipped_bit_of_a_rule_is_read_or_refused_but_never_throws()
    {
        byte[] data = KernelCorpus.Read("audit", "rule-connect-saddr-fam2.bin");
        for (int length = 0; length < data.Length; length++)
        {
            Assert.That(AuditRule.TryDecode(data.AsSpan(0, length), out _), Is.EqualTo(OperationStatus.NeedMoreData));
        }

        for (int bit = 0; bit < data.Length * 8; bit++)
        {
            byte[] changed = [.. data];
            changed[bit / 8] ^= (byte)(1 << (bit % 8));
            if (AuditRule.TryDecode(changed, out AuditRule? rule) == OperationStatus.Done)
            {
                Assert.That(rule!.SameAs(Captured) && !rule.Prepend, Is.False.Or.EqualTo(IsUnused(bit / 8)), $"bit {bit}");
            }
        }
    }

    [Test]
    public void What_the_kernel_would_refuse_for_its_size_is_refused_at_once()
    {
        AuditField[] tooMany = [.. Enumerable.Repeat(new AuditField(AUDIT_PID, AUDIT_EQUAL, 1), 64)];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(() => new AuditRule(4, 2, [2048], [], "k"), Throws.ArgumentException);
            Assert.That(() => new AuditRule(4, 2, [1], tooMany, "k"), Throws.ArgumentException);
            Assert.That(() => new AuditRule(4, 2, [1], tooMany, ""), Throws.Nothing);
            Assert.That(() => new AuditRule(4, 2, [1], [], new string('k', 257)), Throws.ArgumentException);
            Assert.That(() => new AuditRule(4, 2, [1], [], "\u20ac"), Throws.ArgumentException);
            Assert.That(Captured.TryEncode(new byte[1046], adding: true, out _), Is.False);
        }
    }

    [Test]
    public void The_status_of_this_kernel_is_read()
    {
        Assert.That(NetlinkFrame.TryReadAudit(KernelCorpus.Read("audit", "status-reply.bin"), out NetlinkFrame frame), Is.EqualTo(OperationStatus.Done));
        Assert.That(AuditStatus.TryParse(frame.Payload, out AuditStatus status), Is.EqualTo(OperationStatus.Done));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(frame.Type, Is.EqualTo(AUDIT_GET));
            Assert.That(status, Is.EqualTo(new AuditStatus
            {
                Enabled = 1,
                Failure = 1,
                OwnerProcessId = 0x1a1a,
                BacklogLimit = 8192,
                Lost = 0x6cc6,
                Features = 0x7f,
                BacklogWaitTime = 15000,
                BacklogWaitTimeActual = 0x4c2b,
            }));
        }
    }

    [TestCase(32, 0u, 0u)]
    [TestCase(36, 127u, 0u)]
    [TestCase(44, 127u, 19499u)]
    [TestCase(60, 127u, 19499u)]
    public void An_older_or_newer_kernels_status_is_read_as_far_as_it_goes(int length, uint features, uint waited)
    {
        byte[] payload = new byte[64];
        KernelCorpus.Read("audit", "status-reply.bin").AsSpan(16).CopyTo(payload);

        Assert.That(AuditStatus.TryParse(payload.AsSpan(0, length), out AuditStatus status), Is.EqualTo(OperationStatus.Done));
        Assert.That((status.Features, status.BacklogWaitTimeActual), Is.EqualTo((features, waited)));
        Assert.That(AuditStatus.TryParse(payload.AsSpan(0, 31), out _), Is.EqualTo(OperationStatus.NeedMoreData));
    }

    [Test]
    public void A_change_names_what_it_changes()
    {
        byte[] payload = new byte[AuditStatus.Size];
        int length = new AuditStatus { Enabled = 1, BacklogLimit = 8192 }.WriteSet(payload, AUDIT_STATUS_ENABLED | AUDIT_STATUS_BACKLOG_LIMIT);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(length, Is.EqualTo(44));
            Assert.That(BinaryPrimitives.ReadUInt32LittleEndian(payload), Is.EqualTo(0x11));
            Assert.That(BinaryPrimitives.ReadUInt32LittleEndian(payload.AsSpan(4)), Is.EqualTo(1));
            Assert.That(BinaryPrimitives.ReadUInt32LittleEndian(payload.AsSpan(20)), Is.EqualTo(8192));
        }
    }

    // Values and operators beyond the field count say nothing.
    private static bool IsUnused(int offset)
        => offset is (>= 268 + 12 and < 524) or (>= 524 + 12 and < 780) or (>= 780 + 12 and < 1036);

    private static void Put(byte[] data, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(data.AsSpan(at), value);
}
