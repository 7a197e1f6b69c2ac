using System.Buffers;
using System.Text;
using ImageSentinel.Kernel.Audit;
using ImageSentinel.Kernel.Netlink;
using ImageSentinel.Sensors.Replay;
using NUnit.Framework;

namespace ImageSentinel.Tests.Replay;

[TestFixture]
public sealed class CaptureTrimmerTests
{
    [TestCase("argc=2 a0=\"curl\" a1=\"https://user:hunter2@host/x\"", "https://***@host/x")]
    [TestCase("argc=2 a0=\"curl\" a1=2D2D70617373776F72643D68756E74657232", "--password=***")]
    public void Secrets_in_arguments_do_not_leave_the_host(string fields, string shown)
    {
        byte[] payload = Encoding.ASCII.GetBytes("audit(1795386310.734:637): " + fields);
        Assert.That(AuditRecord.TryParse(AuditRecordType.Execve, payload, out AuditRecord record), Is.EqualTo(OperationStatus.Done));

        byte[] written = CaptureTrimmer.WithoutSecrets(record, payload).ToArray();

        string text = Encoding.ASCII.GetString(written.AsSpan(NetlinkFrame.HeaderSize));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(text, Does.StartWith("audit(1795386310.734:637): argc=2 a0=\"curl\" a1="));
            Assert.That(text, Does.Contain(Convert.ToHexString(Encoding.ASCII.GetBytes(shown))));
        }
    }

    [Test]
    public void What_holds_no_secret_is_kept_byte_for_byte()
    {
        byte[] payload = "audit(1795386310.734:637): argc=3 a0=\"curl\" a1=\"-sS\" a2=\"http://host/x\""u8.ToArray();
        _ = AuditRecord.TryParse(AuditRecordType.Execve, payload, out AuditRecord record);

        Assert.That(CaptureTrimmer.WithoutSecrets(record, payload).ToArray(), Is.EqualTo(payload));
    }
}
