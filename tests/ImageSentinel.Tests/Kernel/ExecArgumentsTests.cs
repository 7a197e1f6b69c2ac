using System.Text;
using CsCheck;
using ImageSentinel.Kernel.Audit;
using NUnit.Framework;

namespace ImageSentinel.Tests.Kernel;

public sealed class ExecArgumentsTests
{
    private static readonly Gen<byte[]> Argument = Gen.OneOf(
        Gen.Byte[0x21, 0x7e].Where(value => value != (byte)'"').Array[0, 40],
        Gen.Byte[1, 255].Array[0, 40]);

    [Test]
    public void Any_arguments_in_any_pieces_are_put_together_again()
        => Gen.Select(Argument.Array[1, 8], Gen.Int[4, 50]).Sample((arguments, size) =>
        {
            var collected = new ExecArguments(new byte[8192]);
            foreach (byte[] record in AsKernelWrites(arguments, size))
            {
                collected.Append(record);
            }

            byte[] expected = [.. arguments.SelectMany(argument => argument.Append((byte)0))];
            return collected.Bytes.SequenceEqual(expected)
                && collected.Count == arguments.Length
                && collected.DeclaredCount == arguments.Length
                && !collected.IsIncomplete;
        });

    [Test]
    public void Any_buffer_gets_the_beginning_and_says_that_it_is_one()
        => Gen.Select(Argument.Array[1, 8], Gen.Int[4, 50], Gen.Int[0, 100]).Sample((arguments, size, room) =>
        {
            var collected = new ExecArguments(new byte[room]);
            foreach (byte[] record in AsKernelWrites(arguments, size))
            {
                collected.Append(record);
            }

            byte[] expected = [.. arguments.SelectMany(argument => argument.Append((byte)0))];
            bool fits = expected.Length <= room;

            // The last argument may end early, with its NUL.
            ReadOnlySpan<byte> bytes = collected.Bytes;
            return bytes.Length <= room
                && collected.IsTruncated == !fits
                && (bytes.IsEmpty || (bytes[^1] == 0 && expected.AsSpan().StartsWith(bytes[..^1])));
        });

    [TestCase("argc=3 a0=\"sh\" a2=\"x\"", "sh|x", TestName = "An_argument_is_missing_in_the_middle")]
    [TestCase("argc=3 a0=\"sh\" a1=\"-c\"", "sh|-c", TestName = "The_last_argument_is_missing")]
    [TestCase("argc=2 a0=\"sh\" a1[1]=\"b\"", "sh|b", TestName = "The_first_piece_is_missing")]
    [TestCase("argc=2 a0=\"sh\" a1[0]=\"b\" a1[2]=\"d\"", "sh|bd", TestName = "A_piece_is_missing")]
    [TestCase("argc=1 a0=notquoted", "", TestName = "An_argument_does_not_decode")]
    [TestCase("argc=2 a0=\"sh\" argc=3 a1=\"x\"", "sh|x", TestName = "The_count_changes")]
    public void What_is_missing_is_told(string fields, string arguments)
    {
        var collected = new ExecArguments(new byte[256]);
        collected.Append(Encoding.ASCII.GetBytes(fields));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(collected.IsIncomplete, Is.True);
            Assert.That(Join(collected), Is.EqualTo(arguments));
        }
    }

    [Test]
    public void An_empty_argument_is_an_argument()
    {
        var collected = new ExecArguments(new byte[16]);
        collected.Append("argc=3 a0=\"sh\" a1=\"\" a2=\"\""u8);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(collected.Count, Is.EqualTo(3));
            Assert.That(Encoding.ASCII.GetString(collected.Bytes), Is.EqualTo("sh\0\0\0"));
            Assert.That(collected.IsIncomplete, Is.False);
        }
    }

    private static string Join(ExecArguments arguments)
    {
        var texts = new List<string>();
        foreach (ReadOnlySpan<byte> argument in arguments)
        {
            texts.Add(Encoding.Latin1.GetString(argument));
        }

        return string.Join('|', texts);
    }

    // As audit_log_execve_info does: long arguments in pieces, each with its own quoting, a new record when full.
    private static List<byte[]> AsKernelWrites(byte[][] arguments, int size)
    {
        var records = new List<byte[]>();
        var current = new StringBuilder().Append("argc=").Append(arguments.Length);
        for (int i = 0; i < arguments.Length; i++)
        {
            byte[][] pieces = arguments[i].Length > size ? [.. arguments[i].Chunk(size)] : [arguments[i]];
            for (int piece = 0; piece < pieces.Length; piece++)
            {
                if (current.Length > 3 * size)
                {
                    records.Add(Encoding.ASCII.GetBytes(current.ToString()));
                    current.Clear();
                }

                if (piece == 0 && pieces.Length > 1)
                {
                    current.Append(null, $" a{i}_len={arguments[i].Length}");
                }

                string name = pieces.Length > 1 ? $" a{i}[{piece}]=" : $" a{i}=";
                current.Append(name).Append(Encoding.ASCII.GetString(AuditValueTests.AsKernelWrites(pieces[piece])));
            }
        }

        records.Add(Encoding.ASCII.GetBytes(current.ToString()));
        return records;
    }
}
