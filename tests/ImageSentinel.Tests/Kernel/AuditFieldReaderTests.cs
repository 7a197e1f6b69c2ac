using System.Buffers;
using System.Text;
using CsCheck;
using ImageSentinel.Kernel.Audit;
using NUnit.Framework;

namespace ImageSentinel.Tests.Kernel;

public sealed class AuditFieldReaderTests
{
    [TestCase("a=1 bb=22 uring_op=16 longer_name=x", "a:1|bb:22|uring_op:16|longer_name:x")]
    [TestCase("comm=\"a b\" key=(null)", "comm:\"a b\"|key:(null)")]
    [TestCase("avc:  denied  { read } for pid=7 comm=\"x\"", "pid:7|comm:\"x\"")]
    [TestCase("   a=1    b=2   ", "a:1|b:2")]
    [TestCase("a= b=2", "a:|b:2")]
    [TestCase("=x a=1", "a:1")]
    [TestCase("pid=1 msg='op=start pid=9 res=success'", "pid:1|msg:'op=start pid=9 res=success'")]
    [TestCase("a=\"never closed b=2", "a:\"never closed b=2")]
    [TestCase("a=b=c", "a:b=c")]
    [TestCase("", "")]
    [TestCase("x", "")]
    [TestCase("wordwithoutend", "")]
    [TestCase("1234567=a 12345678=b 123456789=c", "1234567:a|12345678:b|123456789:c")]
    public void Fields_are_split(string text, string expected)
        => Assert.That(string.Join('|', Read(Encoding.ASCII.GetBytes(text)).Select(field => $"{field.Key}:{field.Value}")), Is.EqualTo(expected));

    [Test]
    public void Any_fields_are_read_as_a_plain_splitter_reads_them()
    {
        Gen<string> name = Gen.Char["abcdefgh_0[]"].Array[1, 12].Select(letters => new string(letters));
        Gen<string> value = Gen.Char["abc=0123(),:/"].Array[0, 20].Select(letters => new string(letters));
        Gen.Select(name, value).Array[0, 12].Sample(fields =>
        {
            string text = string.Join(' ', fields.Select(field => $"{field.Item1}={field.Item2}"));
            return Read(Encoding.ASCII.GetBytes(text)).SequenceEqual(fields.Select(field => (field.Item1, field.Item2)));
        });
    }

    [Test]
    public void A_process_cannot_forge_a_field_by_its_name()
    {
        byte[] comm = AuditValueTests.AsKernelWrites("x\" pid=1 \""u8.ToArray());
        byte[] text = [.. "arch=c000003e syscall=42 pid=77 comm="u8, .. comm];

        Assert.That(SyscallRecord.TryParse(text, out SyscallRecord record), Is.EqualTo(OperationStatus.Done));
        Assert.That(record.ProcessId, Is.EqualTo(77));
    }

    [Test]
    public void A_name_with_a_nul_behind_it_is_another_name()
    {
        byte[] text = [.. "arch=c000003e syscall=42 pid\0=1 pid=77"u8];

        Assert.That(SyscallRecord.TryParse(text, out SyscallRecord record), Is.EqualTo(OperationStatus.Done));
        Assert.That(record.ProcessId, Is.EqualTo(77));
    }

    [TestCase("arch=c000003e syscall=42 pid=1 pid=2", TestName = "A_field_that_comes_twice_is_refused")]
    [TestCase("arch=c000003e syscall=42", TestName = "A_call_without_a_process_is_refused")]
    [TestCase("arch=c000003e syscall=42 pid=x", TestName = "A_process_that_is_no_number_is_refused")]
    [TestCase("arch=c000003e syscall=42 pid=1 success=maybe", TestName = "A_success_that_is_neither_is_refused")]
    [TestCase("arch=1c000003e syscall=42 pid=1", TestName = "An_architecture_of_33_bits_is_refused")]
    public void Contradictions_are_refused(string text)
        => Assert.That(SyscallRecord.TryParse(Encoding.ASCII.GetBytes(text), out _), Is.EqualTo(OperationStatus.InvalidData));

    [Test]
    public void A_call_that_never_returned_has_no_result()
    {
        Assert.That(SyscallRecord.TryParse("arch=c000003e syscall=-1 a0=0 pid=1"u8, out SyscallRecord record), Is.EqualTo(OperationStatus.Done));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(record.Number, Is.EqualTo(-1));
            Assert.That(record.HasResult, Is.False);
            Assert.That(record.Succeeded, Is.False);
        }
    }

    [TestCase("audit(1490137971.011:50406): a=1", 1490137971011, 50406u, "a=1")]
    [TestCase("audit(1490137971.011:4294967295): ", 1490137971011, uint.MaxValue, "")]
    [TestCase("audit(0.000:0):", 0, 0u, "")]
    public void Headers_are_read(string text, long timestamp, uint serial, string fields)
    {
        Assert.That(AuditRecord.TryParse(1300, Encoding.ASCII.GetBytes(text), out AuditRecord record), Is.EqualTo(OperationStatus.Done));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(record.TimestampMilliseconds, Is.EqualTo(timestamp));
            Assert.That(record.Serial, Is.EqualTo(serial));
            Assert.That(Encoding.ASCII.GetString(record.Fields), Is.EqualTo(fields));
        }
    }

    [TestCase("audit(1490137971.011:4294967296): ")]
    [TestCase("audit(1490137971.1000:1): ")]
    [TestCase("audit(99999999999.011:1): ")]
    [TestCase("audit(1490137971.011:1) ")]
    [TestCase("audit(1490137971.011:): ")]
    [TestCase("audit(.011:1): ")]
    [TestCase("audit(-1.011:1): ")]
    [TestCase("AUDIT(1.011:1): ")]
    public void Headers_that_are_none_are_refused(string text)
        => Assert.That(AuditRecord.TryParse(1300, Encoding.ASCII.GetBytes(text), out _), Is.EqualTo(OperationStatus.InvalidData));

    [TestCase("node=h1 type=SYSCALL msg=audit(1.000:5): a=1", 1300, "a=1")]
    [TestCase("type=UNKNOWN[1334] msg=audit(1.000:5): prog-id=3", 1334, "prog-id=3")]
    [TestCase("type=SYSCALL msg=audit(1.000:5): a=1\u001dARCH=x86_64 UID=\"root\"", 1300, "a=1")]
    [TestCase("type=USER_LOGIN msg=audit(1.000:5): pid=1", 1112, "pid=1")]
    public void Lines_of_a_log_are_read(string line, int type, string fields)
    {
        Assert.That(AuditLogLine.TryParse(Encoding.Latin1.GetBytes(line), out AuditRecord record), Is.EqualTo(OperationStatus.Done));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(record.Type, Is.EqualTo(type));
            Assert.That(Encoding.ASCII.GetString(record.Fields), Is.EqualTo(fields));
        }
    }

    private static List<(string Key, string Value)> Read(byte[] text)
    {
        var fields = new List<(string, string)>();
        var reader = new AuditFieldReader(text);
        while (reader.TryRead())
        {
            fields.Add((Encoding.Latin1.GetString(reader.Key), Encoding.Latin1.GetString(reader.Value)));
        }

        Assert.That(reader.TryRead(), Is.False);
        return fields;
    }
}
