using System.Globalization;
using System.Text;

namespace ImageSentinel.Agent.Outputs;

/// <summary>The fields of one journal entry, in the order they were added. Values may hold any byte.</summary>
public sealed class JournalFields
{
    private readonly List<ReadOnlyMemory<byte>> _fields = [];

    public IReadOnlyList<ReadOnlyMemory<byte>> Fields => _fields;

    /// <param name="name">Upper case letters, digits and underscores: journald drops anything else in silence.</param>
    /// <param name="value">Left out when empty.</param>
    public JournalFields Add(string name, string? value)
    {
        if (!string.IsNullOrEmpty(value))
        {
            _fields.Add(Encoding.UTF8.GetBytes($"{name}={value}"));
        }

        return this;
    }

    public JournalFields Add(string name, long value) => Add(name, value.ToString(CultureInfo.InvariantCulture));

    /// <summary>For tests and messages: the value of the first field of that name.</summary>
    public string? Find(string name)
    {
        string prefix = name + "=";
        foreach (ReadOnlyMemory<byte> field in _fields)
        {
            string text = Encoding.UTF8.GetString(field.Span);
            if (text.StartsWith(prefix, StringComparison.Ordinal))
            {
                return text[prefix.Length..];
            }
        }

        return null;
    }
}
