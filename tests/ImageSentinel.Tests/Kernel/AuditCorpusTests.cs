using System.Buffers;
using ImageSentinel.Kernel.Audit;
using NUnit.Framework;

namespace ImageSentinel.Tests.Kernel;

/// <summary>All captured audit text: there, decoded as recorded, safe to cut anywhere, and free of allocation.</summary>
[Parallelizable(ParallelScope.Children)]
public sealed class AuditCorpusTests
{
    [Test]
    public void Corpus_holds_every_event_and_record()
    {
        var scenarios = KernelCorpus.Scenarios(Path.Combine(KernelCorpus.Root, "audit", "samples.log")).ToList();
        var events = new HashSet<(uint, long)>();
        foreach (byte[] line in scenarios.SelectMany(scenario => scenario.Lines))
        {
            Assert.That(AuditLogLine.TryParse(line, out AuditRecord record), Is.EqualTo(OperationStatus.Done));
            events.Add((record.Serial, record.TimestampMilliseconds));
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(events, Has.Count.EqualTo(89));
            Assert.That(scenarios.Sum(scenario => scenario.Lines.Length), Is.EqualTo(461));
            Assert.That(scenarios.Select(scenario => scenario.Title), Has.None.Empty);
        }
    }

    [TestCaseSource(nameof(Logs))]
    public void Every_record_decodes_to_its_golden_file(string log)
        => KernelCorpus.AssertExpected(
            log,
            KernelCorpus.Scenarios(log).SelectMany(scenario => scenario.Lines).Select(AuditDescription.OfLine));

    [TestCaseSource(nameof(Logs))]
    public void Every_record_is_understood(string log)
    {
        foreach ((string title, byte[][] lines) in KernelCorpus.Scenarios(log))
        {
            foreach (byte[] line in lines)
            {
                Assert.That(AuditLogLine.TryParse(line, out AuditRecord record), Is.EqualTo(OperationStatus.Done), title);

                // An IPv4-sized address that claims to be IPv6: the kernel refused it (EAFNOSUPPORT), and so do we.
                bool isTooShort = title.StartsWith("connect with the wrong family", StringComparison.Ordinal)
                    && record.Type == AuditRecordType.SocketAddress;
                Assert.That(
                    AuditDescription.Status(record),
                    Is.EqualTo(isTooShort ? OperationStatus.NeedMoreData : OperationStatus.Done),
                    title);
            }
        }
    }

    [TestCaseSource(nameof(Logs))]
    public void Every_scenario_reassembles_into_whole_events(string log)
    {
        foreach ((string title, byte[][] lines) in KernelCorpus.Scenarios(log))
        {
            var reassembler = new AuditReassembler();
            var serials = new HashSet<uint>();
            int kept = 0;
            foreach (byte[] line in lines)
            {
                Assert.That(AuditLogLine.TryParse(line, out AuditRecord record), Is.EqualTo(OperationStatus.Done));
                serials.Add(record.Serial);
                kept += record.Type == AuditRecordType.EndOfEvent ? 0 : 1;
                reassembler.Add(record, 0);
            }

            int events = 0;
            int records = 0;
            while (reassembler.TryTake(out AuditEvent auditEvent))
            {
                events++;
                records += auditEvent.Count;
                Assert.That(auditEvent.IsWhole, Is.True, title);
            }

            using (Assert.EnterMultipleScope())
            {
                Assert.That(events, Is.EqualTo(serials.Count), title);
                Assert.That(records, Is.EqualTo(kept), title);
                Assert.That(reassembler.TryTakeLoss(out _), Is.False, title);
                Assert.That(reassembler.OpenEvents, Is.Zero, title);
            }
        }
    }

    [TestCaseSource(nameof(Logs))]
    public void Every_prefix_is_decoded_or_refused_but_never_throws(string log)
    {
        foreach (byte[] line in KernelCorpus.Scenarios(log).SelectMany(scenario => scenario.Lines))
        {
            for (int length = 0; length <= line.Length; length++)
            {
                AuditDescription.Consume(line.AsSpan(0, length));
            }
        }
    }

    [TestCaseSource(nameof(Logs))]
    public void Decoding_does_not_allocate(string log)
    {
        byte[][] lines = [.. KernelCorpus.Scenarios(log).SelectMany(scenario => scenario.Lines)];
        int warm = ConsumeAll(lines);

        long before = GC.GetAllocatedBytesForCurrentThread();
        int fields = ConsumeAll(lines);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(fields, Is.EqualTo(warm).And.GreaterThan(3000));
            Assert.That(allocated, Is.Zero);
        }
    }

    private static int ConsumeAll(byte[][] lines)
    {
        int fields = 0;
        foreach (byte[] line in lines)
        {
            fields += AuditDescription.Consume(line);
        }

        return fields;
    }

    private static IEnumerable<TestCaseData> Logs()
        => KernelCorpus.Captures("audit", "*.log").Select(file => new TestCaseData(file).SetArgDisplayNames(KernelCorpus.Name(file)));
}
