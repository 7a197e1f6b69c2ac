using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using ImageSentinel.Kernel.Numbers;

namespace ImageSentinel.Kernel.Audit;

/// <summary>One audit rule, as <c>struct audit_rule_data</c> carries it (<c>linux/audit.h</c>).</summary>
/// <remarks>
/// The kernel answers AUDIT_LIST_RULES with the same bytes that added the rule, but for AUDIT_FILTER_PREPEND, and
/// deletes a rule only by the same bytes without that flag: rules are told apart by their bytes, in field order.
/// Adding a rule twice is EEXIST, deleting an absent one ENOENT.
/// </remarks>
public sealed class AuditRule
{
    /// <summary>Bytes before the texts.</summary>
    public const int HeaderSize = 1040;

    /// <summary>System calls and io_uring operations that a mask can name.</summary>
    public const int MaxCalls = (int)AuditConstants.AUDIT_BITMASK_SIZE * 32;

    // flags, action, field_count: 3 words; mask, fields, values, fieldflags: 64 words each; buflen: 1 word.
    private const int ActionOffset = 4;
    private const int CountOffset = 8;
    private const int MaskOffset = 12;
    private const int FieldsOffset = 268;
    private const int ValuesOffset = 524;
    private const int OperatorsOffset = 780;
    private const int TextLengthOffset = 1036;

    // Where the key stands among the fields: at the end in our rules, anywhere in those of others.
    private readonly int _keyIndex;
    private readonly uint _keyOperator;

    /// <param name="list"><c>AUDIT_FILTER_EXIT</c> and so on.</param>
    /// <param name="action"><c>AUDIT_ALWAYS</c> or <c>AUDIT_NEVER</c>.</param>
    /// <param name="calls">System calls, or operations on the io_uring list; below <see cref="MaxCalls"/>.</param>
    /// <param name="fields">Conditions, all of which must hold; without the key.</param>
    /// <param name="key">What the records carry; empty for none.</param>
    /// <exception cref="ArgumentException">What the kernel would refuse with EINVAL for its size.</exception>
    public AuditRule(uint list, uint action, IEnumerable<uint> calls, IReadOnlyList<AuditField> fields, string key)
        : this(list, action, calls, fields, key, fields.Count, AuditConstants.AUDIT_EQUAL)
    {
    }

    private AuditRule(
        uint list,
        uint action,
        IEnumerable<uint> calls,
        IReadOnlyList<AuditField> fields,
        string key,
        int keyIndex,
        uint keyOperator)
    {
        List = list;
        Action = action;
        Calls = [.. calls.Order().Distinct()];
        Fields = fields;
        Key = key;
        _keyIndex = keyIndex;
        _keyOperator = keyOperator;

        if (Calls is [.., >= MaxCalls])
        {
            throw new ArgumentException($"A rule names calls below {MaxCalls}.", nameof(calls));
        }

        if (fields.Count + (key.Length > 0 ? 1 : 0) > AuditConstants.AUDIT_MAX_FIELDS)
        {
            throw new ArgumentException($"A rule has at most {AuditConstants.AUDIT_MAX_FIELDS} fields.", nameof(fields));
        }

        // Latin-1 stands for bytes here; anything above would silently become a question mark.
        if (key.Any(character => character > 0xff)
            || fields.Any(condition => condition.Text?.Any(character => character > 0xff) == true))
        {
            throw new ArgumentException("Texts of a rule are bytes, one per character.", nameof(fields));
        }

        if (key.Length > AuditConstants.AUDIT_MAX_KEY_LEN)
        {
            throw new ArgumentException($"A key has at most {AuditConstants.AUDIT_MAX_KEY_LEN} bytes.", nameof(key));
        }
    }

    public uint List { get; }

    public uint Action { get; }

    /// <summary>Tried before the rules already there. Belongs to the request, not to the rule.</summary>
    public bool Prepend { get; init; }

    /// <summary>Ascending.</summary>
    public IReadOnlyList<uint> Calls { get; }

    public IReadOnlyList<AuditField> Fields { get; }

    public string Key { get; }

    /// <summary>True for a rule that takes the audit context from new processes for good: they never record again.</summary>
    public bool SilencesNewProcesses
        => List == AuditConstants.AUDIT_FILTER_TASK && Action == AuditConstants.AUDIT_NEVER;

    /// <summary>Bytes of the encoded rule.</summary>
    public int EncodedLength => HeaderSize + Key.Length + Fields.Sum(condition => condition.Text?.Length ?? 0);

    /// <summary>The payload of AUDIT_ADD_RULE (<paramref name="adding"/>) or AUDIT_DEL_RULE.</summary>
    public byte[] Encode(bool adding)
    {
        byte[] data = new byte[EncodedLength];
        _ = TryEncode(data, adding, out _);
        return data;
    }

    /// <summary>Encodes into the caller's buffer; false when it is shorter than <see cref="EncodedLength"/>.</summary>
    public bool TryEncode(Span<byte> destination, bool adding, out int written)
    {
        written = EncodedLength;
        if (destination.Length < written)
        {
            written = 0;
            return false;
        }

        Span<byte> data = destination[..written];
        data.Clear();
        Put(data, 0, List | (adding && Prepend ? AuditConstants.AUDIT_FILTER_PREPEND : 0));
        Put(data, ActionOffset, Action);
        foreach (uint call in Calls)
        {
            int word = MaskOffset + (int)(call / 32 * sizeof(uint));
            Put(data, word, Get(data, word) | (1u << (int)(call % 32)));
        }

        int count = 0;
        int end = HeaderSize;
        for (int i = 0; i <= Fields.Count; i++)
        {
            if (i == _keyIndex && Key.Length > 0)
            {
                PutField(data, count++, new AuditField(AuditConstants.AUDIT_FILTERKEY, _keyOperator, 0, Key), ref end);
            }

            if (i < Fields.Count)
            {
                PutField(data, count++, Fields[i], ref end);
            }
        }

        Put(data, CountOffset, (uint)count);
        Put(data, TextLengthOffset, (uint)(end - HeaderSize));
        return true;
    }

    /// <summary>Reads a rule as AUDIT_LIST_RULES answers it.</summary>
    /// <returns>NeedMoreData when it ends too early, InvalidData when its lengths contradict each other.</returns>
    public static OperationStatus TryDecode(ReadOnlySpan<byte> data, out AuditRule? rule)
    {
        rule = null;
        if (data.Length < HeaderSize)
        {
            return OperationStatus.NeedMoreData;
        }

        uint count = Get(data, CountOffset);
        uint textLength = Get(data, TextLengthOffset);
        if (textLength > (uint)(data.Length - HeaderSize))
        {
            return OperationStatus.NeedMoreData;
        }

        if (count > AuditConstants.AUDIT_MAX_FIELDS)
        {
            return OperationStatus.InvalidData;
        }

        ReadOnlySpan<byte> texts = data.Slice(HeaderSize, (int)textLength);
        var fields = new List<AuditField>((int)count);
        string key = "";
        int keyIndex = (int)count;
        uint keyOperator = AuditConstants.AUDIT_EQUAL;
        for (int i = 0; i < (int)count; i++)
        {
            uint field = Get(data, FieldsOffset + (i * sizeof(uint)));
            uint value = Get(data, ValuesOffset + (i * sizeof(uint)));
            uint comparison = Get(data, OperatorsOffset + (i * sizeof(uint)));
            if (!AuditField.IsText(field))
            {
                fields.Add(new AuditField(field, comparison, value));
                continue;
            }

            bool isKey = field == AuditConstants.AUDIT_FILTERKEY;
            if (value > (uint)texts.Length || (isKey && (key.Length > 0 || value > AuditConstants.AUDIT_MAX_KEY_LEN)))
            {
                return OperationStatus.InvalidData;
            }

            string text = Encoding.Latin1.GetString(texts[..(int)value]);
            texts = texts[(int)value..];
            if (isKey)
            {
                key = text;
                keyIndex = i;
                keyOperator = comparison;
            }
            else
            {
                fields.Add(new AuditField(field, comparison, 0, text));
            }
        }

        var calls = new List<uint>();
        for (uint call = 0; call < MaxCalls; call++)
        {
            if ((Get(data, MaskOffset + (int)(call / 32 * sizeof(uint))) & (1u << (int)(call % 32))) != 0)
            {
                calls.Add(call);
            }
        }

        uint flags = Get(data, 0);
        rule = new AuditRule(
            flags & ~AuditConstants.AUDIT_FILTER_PREPEND,
            Get(data, ActionOffset),
            calls,
            fields,
            key,
            keyIndex,
            keyOperator)
        {
            Prepend = (flags & AuditConstants.AUDIT_FILTER_PREPEND) != 0,
        };
        return OperationStatus.Done;
    }

    /// <summary>True when the kernel would take the two for the same rule.</summary>
    public bool SameAs(AuditRule other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return Encode(adding: false).AsSpan().SequenceEqual(other.Encode(adding: false));
    }

    public override string ToString() => $"{Key} (list {List}, calls {string.Join(',', Calls)})";

    // For a text the value is its length; the bytes follow in field order, without NUL.
    private static void PutField(Span<byte> data, int index, AuditField field, ref int end)
    {
        Put(data, FieldsOffset + (index * sizeof(uint)), field.Field);
        Put(data, ValuesOffset + (index * sizeof(uint)), field.Text is { } text ? (uint)text.Length : field.Value);
        Put(data, OperatorsOffset + (index * sizeof(uint)), field.Operator);
        end += Encoding.Latin1.GetBytes(field.Text ?? "", data[end..]);
    }

    private static uint Get(ReadOnlySpan<byte> data, int at) => BinaryPrimitives.ReadUInt32LittleEndian(data[at..]);

    private static void Put(Span<byte> data, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(data[at..], value);
}
