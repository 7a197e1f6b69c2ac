using System.Buffers.Binary;
using System.Text;
using static ImageSentinel.Kernel.Numbers.AuditConstants;

namespace ImageSentinel.Sensors.Audit;

/// <summary>One condition of a rule.</summary>
/// <param name="Field">AUDIT_ARCH, AUDIT_EXE …</param>
/// <param name="Operator">AUDIT_EQUAL …</param>
/// <param name="Value">The number compared with; 0 for fields of text.</param>
/// <param name="Text">The text of AUDIT_EXE and other text fields; null for numbers.</param>
internal sealed record AuditField(uint Field, uint Operator, uint Value, string? Text = null);

/// <summary>One kernel audit rule, as <c>struct audit_rule_data</c> carries it (linux/audit.h).</summary>
internal sealed class AuditRule
{
    // flags, action, field_count: 3 words; mask, fields, values, fieldflags: 64 words each; buflen: 1 word.
    public const int HeaderSize = 1040;

    private const int MaskOffset = 12;
    private const int FieldsOffset = 268;
    private const int ValuesOffset = 524;
    private const int OperatorsOffset = 780;
    private const int LengthOffset = 1036;

    private static readonly Encoding s_text = Encoding.Latin1;

    /// <param name="list">AUDIT_FILTER_EXIT …</param>
    /// <param name="action">AUDIT_ALWAYS or AUDIT_NEVER.</param>
    /// <param name="calls">System calls, or io_uring operations for that list; below 2,048.</param>
    /// <param name="fields">Conditions, all of which must hold; without the key.</param>
    /// <param name="key">What the record carries; empty for none.</param>
    public AuditRule(uint list, uint action, IEnumerable<uint> calls, AuditField[] fields, string key)
    {
        List = list;
        Action = action;
        Calls = [.. calls.Order()];
        Fields = fields;
        Key = key;
    }

    public uint List { get; }

    public uint Action { get; }

    /// <summary>Tried before the rules already there. Belongs to the request, not to the rule: the kernel does not list it
    /// and a rule is deleted without it.</summary>
    public bool Prepend { get; init; }

    /// <summary>Ascending.</summary>
    public uint[] Calls { get; }

    public AuditField[] Fields { get; }

    public string Key { get; }

    /// <summary>True for a rule that takes the audit context away from new processes for good: they never record again.</summary>
    public bool SilencesNewProcesses => List == AUDIT_FILTER_TASK && Action == AUDIT_NEVER;

    public override string ToString() => $"{Key} (list {List}, calls {string.Join(',', Calls)})";

    /// <summary>The payload of AUDIT_ADD_RULE and AUDIT_DEL_RULE.</summary>
    public byte[] Encode(bool adding)
    {
        AuditField[] fields = Key.Length == 0 ? Fields : [.. Fields, new AuditField(AUDIT_FILTERKEY, AUDIT_EQUAL, 0, Key)];
        byte[] strings = s_text.GetBytes(string.Concat(fields.Select(f => f.Text)));
        byte[] data = new byte[HeaderSize + strings.Length];
        Put(data, 0, List | (adding && Prepend ? AUDIT_FILTER_PREPEND : 0));
        Put(data, 4, Action);
        Put(data, 8, (uint)fields.Length);
        foreach (uint call in Calls)
        {
            int word = MaskOffset + (int)(call / 32 * sizeof(uint));
            Put(data, word, Get(data, word) | (1u << (int)(call % 32)));
        }

        for (int i = 0; i < fields.Length; i++)
        {
            Put(data, FieldsOffset + (i * sizeof(uint)), fields[i].Field);
            // For text the value is its length; the bytes follow in field order, without NUL.
            Put(data, ValuesOffset + (i * sizeof(uint)), fields[i].Text is { } text ? (uint)text.Length : fields[i].Value);
            Put(data, OperatorsOffset + (i * sizeof(uint)), fields[i].Operator);
        }

        Put(data, LengthOffset, (uint)strings.Length);
        strings.CopyTo(data, HeaderSize);
        return data;
    }

    /// <summary>Reads a rule as AUDIT_LIST_RULES answers it. False when its lengths contradict each other.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> data, out AuditRule? rule)
    {
        rule = null;
        if (data.Length < HeaderSize)
        {
            return false;
        }

        uint count = Get(data, 8);
        uint stringsLength = Get(data, LengthOffset);
        if (count > AUDIT_MAX_FIELDS || stringsLength > (uint)(data.Length - HeaderSize))
        {
            return false;
        }

        ReadOnlySpan<byte> strings = data.Slice(HeaderSize, (int)stringsLength);
        var fields = new List<AuditField>((int)count);
        string key = "";
        for (int i = 0; i < (int)count; i++)
        {
            uint field = Get(data, FieldsOffset + (i * sizeof(uint)));
            uint value = Get(data, ValuesOffset + (i * sizeof(uint)));
            uint comparison = Get(data, OperatorsOffset + (i * sizeof(uint)));
            if (!IsText(field))
            {
                fields.Add(new AuditField(field, comparison, value));
                continue;
            }

            if (value > (uint)strings.Length)
            {
                return false;
            }

            string text = s_text.GetString(strings[..(int)value]);
            strings = strings[(int)value..];
            if (field == AUDIT_FILTERKEY)
            {
                key = text;
            }
            else
            {
                fields.Add(new AuditField(field, comparison, 0, text));
            }
        }

        var calls = new List<uint>();
        for (uint call = 0; call < AUDIT_BITMASK_SIZE * 32; call++)
        {
            if ((Get(data, MaskOffset + (int)(call / 32 * sizeof(uint))) & (1u << (int)(call % 32))) != 0)
            {
                calls.Add(call);
            }
        }

        rule = new AuditRule(Get(data, 0) & ~AUDIT_FILTER_PREPEND, Get(data, 4), calls, [.. fields], key);
        return true;
    }

    /// <summary>The kernel's identity of a rule: everything but where it was inserted.</summary>
    public bool SameAs(AuditRule other) => Encode(adding: false).AsSpan().SequenceEqual(other.Encode(adding: false));

    private static bool IsText(uint field) => field is AUDIT_FILTERKEY or AUDIT_EXE or AUDIT_WATCH or AUDIT_DIR
        or (>= AUDIT_SUBJ_USER and <= AUDIT_SUBJ_CLR)
        or (>= AUDIT_OBJ_USER and <= AUDIT_OBJ_LEV_HIGH);

    private static uint Get(ReadOnlySpan<byte> data, int at) => BinaryPrimitives.ReadUInt32LittleEndian(data[at..]);

    private static void Put(Span<byte> data, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(data[at..], value);
}
