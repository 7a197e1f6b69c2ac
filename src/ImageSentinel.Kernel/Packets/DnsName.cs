using System.Buffers;

namespace ImageSentinel.Kernel.Packets;

/// <summary>A domain name inside a DNS message, as text.</summary>
public static class DnsName
{
    /// <summary>Longest text: 255 bytes on the wire (RFC 1035, 2.3.4), each at most four characters.</summary>
    public const int MaximumText = 1024;

    private const int MaximumWire = 255;

    /// <summary>Writes the name that begins at <paramref name="offset"/> in lower case, without a final dot.</summary>
    /// <remarks>
    /// Bytes that no host name holds become <c>\DDD</c>, dots inside a label <c>\.</c> (RFC 1035, 5.1), so that the text
    /// is printable and no name can pass for another. A pointer must point to what came before it, which every
    /// name server's does and which makes a loop impossible.
    /// </remarks>
    /// <param name="message">The whole message: names point into it.</param>
    /// <param name="offset">Where the name begins.</param>
    /// <param name="text">At least <see cref="MaximumText"/> characters.</param>
    /// <param name="written">Characters written; 0 for the root.</param>
    /// <param name="next">Where the message goes on behind the name.</param>
    public static OperationStatus TryRead(ReadOnlySpan<byte> message, int offset, Span<char> text, out int written, out int next)
    {
        written = 0;
        next = 0;
        int at = offset;
        int floor = offset;
        int wire = 0;
        while (true)
        {
            if ((uint)at >= (uint)message.Length)
            {
                return OperationStatus.NeedMoreData;
            }

            byte length = message[at];
            if (length == 0)
            {
                next = next == 0 ? at + 1 : next;
                return OperationStatus.Done;
            }

            if ((length & 0xC0) == 0xC0)
            {
                if (at + 1 >= message.Length)
                {
                    return OperationStatus.NeedMoreData;
                }

                next = next == 0 ? at + 2 : next;
                int target = ((length & 0x3F) << 8) | message[at + 1];
                if (target >= floor)
                {
                    return OperationStatus.InvalidData;
                }

                floor = target;
                at = target;
                continue;
            }

            wire += length + 1;
            if ((length & 0xC0) != 0 || wire > MaximumWire)
            {
                return OperationStatus.InvalidData;
            }

            if (at + 1 + length > message.Length)
            {
                return OperationStatus.NeedMoreData;
            }

            if (written > 0)
            {
                text[written++] = '.';
            }

            foreach (byte value in message.Slice(at + 1, length))
            {
                Append(value, text, ref written);
            }

            at += length + 1;
        }
    }

    private static void Append(byte value, Span<char> text, ref int written)
    {
        char c = (char)value;
        if (char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '*')
        {
            text[written++] = char.ToLowerInvariant(c);
        }
        else if (c == '.')
        {
            text[written++] = '\\';
            text[written++] = '.';
        }
        else
        {
            text[written++] = '\\';
            text[written++] = (char)('0' + (value / 100));
            text[written++] = (char)('0' + (value / 10 % 10));
            text[written++] = (char)('0' + (value % 10));
        }
    }
}
