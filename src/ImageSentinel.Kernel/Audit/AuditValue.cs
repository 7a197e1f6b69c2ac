using System.Buffers;
using System.Runtime.CompilerServices;

namespace ImageSentinel.Kernel.Audit;

/// <summary>Decodes the values that <see cref="AuditFieldReader"/> hands out.</summary>
/// <remarks>
/// The kernel writes a string in double quotes, or as upper-case hex without quotes when it holds a quote, a blank, a
/// control byte or a byte above 0x7e. <c>(null)</c> and <c>(none)</c> without quotes mean that there is nothing.
/// </remarks>
public static class AuditValue
{
    /// <summary>True for nothing: empty, <c>(null)</c>, <c>(none)</c>, or the <c>?</c> of programs' messages.</summary>
    public static bool IsAbsent(ReadOnlySpan<byte> raw)
        => raw.IsEmpty || raw.SequenceEqual("(null)"u8) || raw.SequenceEqual("(none)"u8) || raw.SequenceEqual("?"u8);

    /// <summary>Bytes that <see cref="Decode"/> needs at most.</summary>
    public static int DecodedLength(ReadOnlySpan<byte> raw)
        => raw is [(byte)'"', ..] ? Unquote(raw).Length : IsAbsent(raw) ? 0 : raw.Length / 2;

    /// <summary>Decodes a quoted or hex string; an absent one is decoded to nothing.</summary>
    /// <returns>
    /// Done; DestinationTooSmall after filling <paramref name="destination"/> with the beginning; InvalidData when a
    /// bare value is not hex.
    /// </returns>
    public static OperationStatus Decode(ReadOnlySpan<byte> raw, Span<byte> destination, out int written)
    {
        if (raw is [(byte)'"', ..])
        {
            ReadOnlySpan<byte> inner = Unquote(raw);
            written = Math.Min(inner.Length, destination.Length);
            inner[..written].CopyTo(destination);
            return written == inner.Length ? OperationStatus.Done : OperationStatus.DestinationTooSmall;
        }

        if (IsAbsent(raw))
        {
            written = 0;
            return OperationStatus.Done;
        }

        return DecodeHex(raw, destination, out written);
    }

    /// <summary>Decodes pairs of hex digits of either case.</summary>
    /// <returns>As <see cref="Decode"/>; an odd number of digits is InvalidData, with the whole pairs decoded.</returns>
    public static OperationStatus DecodeHex(ReadOnlySpan<byte> hex, Span<byte> destination, out int written)
    {
        if ((hex.Length & 1) != 0)
        {
            OperationStatus pairs = DecodeHex(hex[..^1], destination, out written);
            return pairs == OperationStatus.Done ? OperationStatus.InvalidData : pairs;
        }

        OperationStatus status = Convert.FromHexString(hex, destination, out _, out written);
        return status;
    }

    /// <summary>Compares the decoded string with <paramref name="text"/> without a buffer.</summary>
    public static bool TextEquals(ReadOnlySpan<byte> raw, ReadOnlySpan<byte> text)
    {
        if (raw is [(byte)'"', ..])
        {
            return Unquote(raw).SequenceEqual(text);
        }

        if (IsAbsent(raw))
        {
            return text.IsEmpty;
        }

        if (raw.Length != text.Length * 2)
        {
            return false;
        }

        for (int i = 0; i < text.Length; i++)
        {
            if (HexDigit(raw[2 * i]) << 4 != (text[i] & 0xf0) || HexDigit(raw[(2 * i) + 1]) != (text[i] & 0x0f))
            {
                return false;
            }
        }

        return true;
    }

    public static bool TryParse(ReadOnlySpan<byte> raw, out ulong value)
    {
        value = 0;

        // 20 digits hold every 64-bit number; a twentieth digit may overflow, so it is checked.
        if (raw.Length is 0 or > 20)
        {
            return false;
        }

        foreach (byte character in raw)
        {
            uint digit = (uint)character - '0';
            if (digit > 9 || value > (ulong.MaxValue - digit) / 10)
            {
                return false;
            }

            value = (value * 10) + digit;
        }

        return true;
    }

    public static bool TryParse(ReadOnlySpan<byte> raw, out uint value)
    {
        value = 0;
        if (raw.Length is 0 or > 10)
        {
            return false;
        }

        ulong wide = 0;
        foreach (byte character in raw)
        {
            uint digit = (uint)character - '0';
            if (digit > 9)
            {
                return false;
            }

            wide = (wide * 10) + digit;
        }

        value = (uint)wide;
        return wide <= uint.MaxValue;
    }

    /// <summary>A number that may carry a minus sign, as <c>exit=-115</c>.</summary>
    public static bool TryParse(ReadOnlySpan<byte> raw, out long value)
    {
        bool negative = raw is [(byte)'-', ..];
        bool parsed = TryParse(negative ? raw[1..] : raw, out ulong magnitude)
            && magnitude <= (negative ? 1UL << 63 : long.MaxValue);
        value = parsed ? negative ? unchecked(-(long)magnitude) : (long)magnitude : 0;
        return parsed;
    }

    /// <summary>A process or other non-negative 32-bit number.</summary>
    public static bool TryParse(ReadOnlySpan<byte> raw, out int value)
    {
        bool parsed = TryParse(raw, out uint wide) && wide <= int.MaxValue;
        value = parsed ? (int)wide : 0;
        return parsed;
    }

    /// <summary>A 32-bit number that may carry a minus sign; a process may well call system call -1.</summary>
    public static bool TryParseSigned(ReadOnlySpan<byte> raw, out int value)
    {
        bool parsed = TryParse(raw, out long wide) && wide is >= int.MinValue and <= int.MaxValue;
        value = parsed ? (int)wide : 0;
        return parsed;
    }

    /// <summary>A bare hexadecimal number such as <c>a1=7fff1f653630</c> or <c>arch=c000003e</c>.</summary>
    public static bool TryParseHex(ReadOnlySpan<byte> raw, out ulong value)
    {
        value = 0;
        if (raw.Length is 0 or > 16)
        {
            return false;
        }

        foreach (byte character in raw)
        {
            int digit = HexDigit(character);
            if (digit < 0)
            {
                return false;
            }

            value = (value << 4) | (uint)digit;
        }

        return true;
    }

    /// <summary>An octal number such as <c>mode=0100755</c>.</summary>
    public static bool TryParseOctal(ReadOnlySpan<byte> raw, out uint value)
    {
        value = 0;
        if (raw.Length is 0 or > 11)
        {
            return false;
        }

        foreach (byte character in raw)
        {
            uint digit = (uint)character - '0';
            if (digit > 7 || value > uint.MaxValue >> 3)
            {
                return false;
            }

            value = (value << 3) | digit;
        }

        return true;
    }

    private static ReadOnlySpan<byte> Unquote(ReadOnlySpan<byte> raw)
        => raw.Length > 1 && raw[^1] == (byte)'"' ? raw[1..^1] : raw[1..];

    // Digits and letters alternate at random in addresses, so a branch between them would be mispredicted half the time.
    // Bit 6 tells a letter; a letter's low bits are 1 to 6.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int HexDigit(byte character)
    {
        bool valid = ((uint)character - '0' <= 9) | (((uint)character | 0x20) - 'a' <= 5);
        return valid ? (character & 0xF) + ((character >> 6) * 9) : -1;
    }
}
