using System.Buffers;

namespace ImageSentinel.Kernel.Audit;

/// <summary>Collects the arguments of an exec from its EXECVE records (1309) into the caller's buffer.</summary>
/// <remarks>
/// The kernel writes <c>argc=3 a0="sh" a1="-c" a2=6563…</c>. What does not fit one record continues in the next, and
/// an argument longer than a record comes as <c>a2_len=20000 a2[0]=… a2[1]=…</c>, each piece with its own quoting
/// (<c>audit_log_execve_info</c>, kernel/auditsc.c). Append the records of one event in their order.
/// The result looks like <c>/proc/PID/cmdline</c>: every argument followed by one NUL.
/// </remarks>
public ref struct ExecArguments(Span<byte> buffer)
{
    private readonly Span<byte> _buffer = buffer;
    private int _length;
    private int _index = -1;
    private int _piece;
    private bool _finished = true;

    /// <summary><c>argc</c> as the kernel told it; zero until the first record.</summary>
    public int DeclaredCount { get; private set; }

    /// <summary>Arguments of which at least the beginning is in the buffer.</summary>
    public int Count { get; private set; }

    /// <summary>True when the buffer was too small for all that came.</summary>
    public bool IsTruncated { get; private set; }

    /// <summary>True when a piece did not decode or did not follow its predecessor.</summary>
    public bool IsMalformed { get; private set; }

    /// <summary>True when fewer arguments came than <c>argc</c> promised: a record was lost or cut off.</summary>
    public readonly bool IsIncomplete => IsTruncated || IsMalformed || Count < DeclaredCount;

    /// <summary>The arguments, each followed by a NUL.</summary>
    public readonly ReadOnlySpan<byte> Bytes => _buffer[..(_finished ? _length : _length + 1)];

    /// <summary>Adds one EXECVE record.</summary>
    public void Append(ReadOnlySpan<byte> fields)
    {
        var reader = new AuditFieldReader(fields);
        while (reader.TryRead())
        {
            if (reader.KeyWord == AuditKey.Argc)
            {
                bool parsed = AuditValue.TryParse(reader.Value, out int count);
                IsMalformed |= !parsed || (DeclaredCount != 0 && DeclaredCount != count);
                DeclaredCount = parsed ? count : DeclaredCount;
            }
            else if (TryReadName(reader.Key, out int index, out int piece))
            {
                AppendPiece(index, piece, reader.Value);
            }
        }
    }

    /// <summary>Walks the arguments collected so far.</summary>
    public readonly Enumerator GetEnumerator() => new(Bytes);

    private void AppendPiece(int index, int piece, ReadOnlySpan<byte> value)
    {
        bool follows = piece > 0 ? index == _index && piece == _piece + 1 : index == _index + 1;
        _piece = piece;
        if (!follows)
        {
            // A piece is missing in front of this one; what follows still is evidence, so keep it.
            IsMalformed = true;
        }

        if (index != _index)
        {
            FinishArgument();
            _index = index;
            if (_length >= _buffer.Length)
            {
                IsTruncated = true;
                return;
            }

            Count++;
            _finished = false;
        }

        if (_finished)
        {
            return; // a later piece of an argument that had no room
        }

        // One byte stays free for the NUL.
        Span<byte> room = _buffer[_length..^1];
        OperationStatus status = AuditValue.Decode(value, room, out int written);
        IsTruncated |= status == OperationStatus.DestinationTooSmall;
        IsMalformed |= status == OperationStatus.InvalidData;

        Terminate(_length + written);
    }

    private void FinishArgument()
    {
        if (!_finished)
        {
            _length++; // over the NUL that is already there
            _finished = true;
        }
    }

    private void Terminate(int end)
    {
        _length = end;
        _buffer[end] = 0;
    }

    // "a12", "a12[3]"; "a12_len" and anything else is not an argument.
    private static bool TryReadName(ReadOnlySpan<byte> key, out int index, out int piece)
    {
        index = 0;
        piece = 0;
        if (key.Length < 2 || key[0] != (byte)'a')
        {
            return false;
        }

        ReadOnlySpan<byte> digits = key[1..];
        int bracket = digits.IndexOf((byte)'[');
        if (bracket >= 0)
        {
            if (digits[^1] != (byte)']' || !AuditValue.TryParse(digits[(bracket + 1)..^1], out piece))
            {
                return false;
            }

            digits = digits[..bracket];
        }

        return AuditValue.TryParse(digits, out index);
    }

    /// <summary>Walks NUL-terminated arguments.</summary>
    public ref struct Enumerator
    {
        private ReadOnlySpan<byte> _rest;

        internal Enumerator(ReadOnlySpan<byte> arguments) => _rest = arguments;

        public ReadOnlySpan<byte> Current { get; private set; }

        public bool MoveNext()
        {
            if (_rest.IsEmpty)
            {
                return false;
            }

            int end = _rest.IndexOf((byte)0);
            Current = end < 0 ? _rest : _rest[..end];
            _rest = end < 0 ? default : _rest[(end + 1)..];
            return true;
        }
    }
}
