using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace ImageSentinel.Kernel.Audit;

/// <summary>Walks <c>key=value</c> pairs without allocating. Values keep their quotes: the quotes say which encoding
/// the kernel chose, and only the caller knows whether a bare value may be hex (see <see cref="AuditValue"/>).</summary>
/// <remarks>
/// What a process chooses (comm, exe, arguments, paths, keys) the kernel writes in double quotes only when it holds no
/// quote, blank or control byte, and in hex otherwise (<c>audit_log_untrustedstring</c>): it cannot forge a field.
/// Programs' own messages carry <c>msg='…'</c> with text of their choice; that is one value, up to the end.
/// </remarks>
public ref struct AuditFieldReader(ReadOnlySpan<byte> fields)
{
    private const ulong EveryByte = 0x0101010101010101;
    private const ulong EveryHighBit = 0x8080808080808080;

    private ReadOnlySpan<byte> _rest = fields;

    public ReadOnlySpan<byte> Key { get; private set; }

    public ReadOnlySpan<byte> Value { get; private set; }

    /// <summary>The key's bytes as one little-endian number when there are at most seven; zero for a longer key.</summary>
    /// <remarks>Lets a record switch over its fields at the price of one comparison; constants in <see cref="AuditKey"/>.</remarks>
    internal ulong KeyWord { get; private set; }

    /// <summary>False at the end of the record, and on every call after that.</summary>
    public bool TryRead()
    {
        ReadOnlySpan<byte> rest = _rest;
        while (true)
        {
            if (rest is [(byte)' ', ..])
            {
                rest = rest[1..];
                continue;
            }

            if (rest.IsEmpty)
            {
                _rest = rest;
                return false;
            }

            int equals = FindEquals(rest, out ulong keyWord);
            if (equals <= 0)
            {
                // Some records carry prose ("avc: denied …"); it is not a field, so step over it.
                int blank = rest.IndexOf((byte)' ');
                rest = blank < 0 ? default : rest[blank..];
                continue;
            }

            Key = rest[..equals];
            KeyWord = keyWord;
            rest = rest[(equals + 1)..];
            int end = FindEndOfValue(rest);
            Value = rest[..end];
            _rest = rest[end..];
            return true;
        }
    }

    // Inlined by hand: the agent is compiled for size, and these three are called for every field of every record.
    // Position of the '=' of a word, or -1 when the word has none. Kernel keys are short: eight bytes at once see
    // nearly all of them.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int FindEquals(ReadOnlySpan<byte> text, out ulong keyWord)
    {
        if (text.Length >= sizeof(ulong))
        {
            ulong word = BinaryPrimitives.ReadUInt64LittleEndian(text);
            ulong equals = MatchBytes(word, (byte)'=');
            ulong blanks = MatchBytes(word, (byte)' ');
            if (equals != 0)
            {
                int bits = BitOperations.TrailingZeroCount(equals);
                if (blanks != 0 && BitOperations.TrailingZeroCount(blanks) < bits)
                {
                    keyWord = 0;
                    return -1;
                }

                // The high bit of the matching byte is bit 8n+7; the key is the n bytes below.
                int length = bits >> 3;
                keyWord = AuditKey.WithLength(word & ((1UL << (length * 8)) - 1), length);
                return length;
            }
        }

        int stop = text.IndexOfAny((byte)'=', (byte)' ');
        if (stop < 0 || text[stop] == (byte)' ')
        {
            keyWord = 0;
            return -1;
        }

        keyWord = stop < sizeof(ulong) ? AuditKey.Pack(text[..stop]) : 0;
        return stop;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int FindEndOfValue(ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty)
        {
            return 0;
        }

        if (text[0] == (byte)'"')
        {
            int quote = text[1..].IndexOf((byte)'"');
            return quote < 0 ? text.Length : quote + 2;
        }

        if (text[0] == (byte)'\'')
        {
            return text.Length;
        }

        if (text.Length >= sizeof(ulong))
        {
            ulong blanks = MatchBytes(BinaryPrimitives.ReadUInt64LittleEndian(text), (byte)' ');
            if (blanks != 0)
            {
                return BitOperations.TrailingZeroCount(blanks) >> 3;
            }
        }

        int end = text.IndexOf((byte)' ');
        return end < 0 ? text.Length : end;
    }

    // High bit set in each byte that equals the one wanted. Bytes above the first match may be marked in error (the
    // borrow runs upwards), so only the lowest mark counts.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong MatchBytes(ulong word, byte wanted)
    {
        ulong difference = word ^ (EveryByte * wanted);
        return (difference - EveryByte) & ~difference & EveryHighBit;
    }
}
