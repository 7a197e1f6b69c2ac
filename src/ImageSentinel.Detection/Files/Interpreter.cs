namespace ImageSentinel.Detection.Files;

/// <summary>Finds the script in an interpreter's arguments.</summary>
/// <remarks>
/// execve(2) turns <c>/x/script</c> with a first line <c>#!interpreter [argument]</c> into
/// <c>interpreter [argument] /x/script …</c>, and a person types the same: the first word that is no option.
/// </remarks>
internal static class Interpreter
{
    private static readonly byte[][] s_names =
    [
        "sh"u8.ToArray(), "bash"u8.ToArray(), "dash"u8.ToArray(), "ash"u8.ToArray(), "zsh"u8.ToArray(), "ksh"u8.ToArray(), "mksh"u8.ToArray(),
        "python"u8.ToArray(), "perl"u8.ToArray(), "ruby"u8.ToArray(), "node"u8.ToArray(), "php"u8.ToArray(), "lua"u8.ToArray(),
        "awk"u8.ToArray(), "tclsh"u8.ToArray(), "ld-linux"u8.ToArray(), "ld-musl"u8.ToArray(),
    ];

    /// <returns>The script as written there; empty when the program interprets nothing.</returns>
    public static ReadOnlySpan<byte> ScriptOf(ReadOnlySpan<byte> exe, ReadOnlySpan<byte> arguments)
    {
        ReadOnlySpan<byte> first = Take(ref arguments);
        if (!IsInterpreter(NameOf(exe)) && !IsInterpreter(NameOf(first)))
        {
            return default;
        }

        while (!arguments.IsEmpty)
        {
            ReadOnlySpan<byte> word = Take(ref arguments);
            if (word.SequenceEqual("-c"u8) || word.SequenceEqual("-e"u8))
            {
                return default;
            }

            if (!word.IsEmpty && word[0] != (byte)'-')
            {
                return word;
            }
        }

        return default;
    }

    // python3.11 and ld-linux-x86-64.so.2 are what their beginnings say.
    private static bool IsInterpreter(ReadOnlySpan<byte> name)
    {
        foreach (byte[] known in s_names)
        {
            if (name.StartsWith(known) && (name.Length == known.Length || name[known.Length] is (byte)'-' or (byte)'.' or (>= (byte)'0' and <= (byte)'9')))
            {
                return true;
            }
        }

        return false;
    }

    private static ReadOnlySpan<byte> NameOf(ReadOnlySpan<byte> path) => path[(path.LastIndexOf((byte)'/') + 1)..];

    private static ReadOnlySpan<byte> Take(scoped ref ReadOnlySpan<byte> arguments)
    {
        int end = arguments.IndexOf((byte)0);
        ReadOnlySpan<byte> word = end < 0 ? arguments : arguments[..end];
        arguments = end < 0 ? default : arguments[(end + 1)..];
        return word;
    }
}
