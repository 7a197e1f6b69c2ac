using System.Buffers;
using System.Text;
using CsCheck;
using ImageSentinel.Kernel.Audit;
using NUnit.Framework;

namespace ImageSentinel.Tests.Kernel;

public sealed class AuditValueTests
{
    // What the kernel does with a string it does not trust (audit_log_n_untrustedstring).
    public static byte[] AsKernelWrites(byte[] text)
        => text.Any(value => value is (byte)'"' or < 0x21 or > 0x7e)
            ? Encoding.ASCII.GetBytes(Convert.ToHexString(text))
            : [(byte)'"', .. text, (byte)'"'];

    [Test]
    public void Any_string_the_kernel_writes_is_read_back()
        => Gen.Byte[1, 255].Array[0, 60].Sample(text =>
        {
            byte[] raw = AsKernelWrites(text);
            byte[] buffer = new byte[text.Length];
            bool decoded = AuditValue.Decode(raw, buffer, out int written) == OperationStatus.Done
                && buffer.AsSpan(0, written).SequenceEqual(text)
                && AuditValue.DecodedLength(raw) == text.Length
                && AuditValue.TextEquals(raw, text)
                && !AuditValue.TextEquals(raw, [.. text, (byte)'x']);
            return decoded;
        });

    [Test]
    public void A_short_buffer_gets_the_beginning([Values("\"abcdef\"", "616263646566")] string raw)
    {
        byte[] buffer = new byte[4];

        OperationStatus status = AuditValue.Decode(Encoding.ASCII.GetBytes(raw), buffer, out int written);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(status, Is.EqualTo(OperationStatus.DestinationTooSmall));
            Assert.That(buffer.AsSpan(0, written).ToArray(), Is.EqualTo("abcd"u8.ToArray()));
        }
    }

    [TestCase("(null)")]
    [TestCase("(none)")]
    [TestCase("?")]
    [TestCase("")]
    public void Nothing_is_decoded_to_nothing(string raw)
    {
        byte[] bytes = Encoding.ASCII.GetBytes(raw);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(AuditValue.IsAbsent(bytes), Is.True);
            Assert.That(AuditValue.Decode(bytes, new byte[8], out int written), Is.EqualTo(OperationStatus.Done));
            Assert.That(written, Is.Zero);
        }
    }

    [Test]
    public void A_name_that_spells_nothing_is_still_a_name()
    {
        byte[] buffer = new byte[16];
        _ = AuditValue.Decode("\"(null)\""u8, buffer, out int written);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(AuditValue.IsAbsent("\"(null)\""u8), Is.False);
            Assert.That(Encoding.ASCII.GetString(buffer, 0, written), Is.EqualTo("(null)"));
        }
    }

    [TestCase("617")]
    [TestCase("61zz")]
    [TestCase("bare")]
    public void A_bare_value_that_is_not_hex_is_refused(string raw)
        => Assert.That(AuditValue.Decode(Encoding.ASCII.GetBytes(raw), new byte[8], out _), Is.EqualTo(OperationStatus.InvalidData));

    [TestCase("0", 0L)]
    [TestCase("-115", -115L)]
    [TestCase("9223372036854775807", long.MaxValue)]
    [TestCase("-9223372036854775808", long.MinValue)]
    public void Signed_numbers_are_read(string raw, long expected)
    {
        Assert.That(AuditValue.TryParse(Encoding.ASCII.GetBytes(raw), out long value), Is.True);
        Assert.That(value, Is.EqualTo(expected));
    }

    [TestCase("")]
    [TestCase("-")]
    [TestCase("+1")]
    [TestCase(" 1")]
    [TestCase("1x")]
    [TestCase("9223372036854775808")]
    [TestCase("18446744073709551616")]
    [TestCase("99999999999999999999")]
    public void Numbers_that_are_none_are_refused(string raw)
        => Assert.That(AuditValue.TryParse(Encoding.ASCII.GetBytes(raw), out long _), Is.False);

    [Test]
    public void Every_64_bit_number_is_read_back()
        => Gen.ULong.Sample(number =>
            AuditValue.TryParse(Encoding.ASCII.GetBytes($"{number}"), out ulong value) && value == number
            && AuditValue.TryParseHex(Encoding.ASCII.GetBytes($"{number:x}"), out ulong hex) && hex == number);

    [Test]
    public void A_32_bit_number_has_no_33rd_bit()
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(AuditValue.TryParse("4294967295"u8, out uint largest), Is.True);
            Assert.That(largest, Is.EqualTo(uint.MaxValue));
            Assert.That(AuditValue.TryParse("4294967296"u8, out uint _), Is.False);
            Assert.That(AuditValue.TryParse("2147483648"u8, out int _), Is.False);
            Assert.That(AuditValue.TryParseOctal("0140755"u8, out uint mode), Is.True);
            Assert.That(mode, Is.EqualTo(0xc1edu));
            Assert.That(AuditValue.TryParseOctal("8"u8, out uint _), Is.False);
        }
    }

    [Test]
    public void Key_numbers_spell_the_names_they_bear()
    {
        foreach (System.Reflection.FieldInfo constant in typeof(AuditKey).GetFields())
        {
            ulong packed = AuditKey.Pack(Encoding.ASCII.GetBytes(constant.Name.ToLowerInvariant()));
            Assert.That(constant.GetRawConstantValue(), Is.EqualTo(packed), constant.Name);
        }
    }
}
