using System.Text;
using System.Text.Json;

namespace ImageSentinel.Detection.Builds;

/// <summary>One instruction of a Dockerfile.</summary>
/// <param name="Index">From 1, all instructions counted, as the classic builder prints them.</param>
/// <param name="Keyword">Upper case.</param>
/// <param name="Text">As written, continuation lines joined, keyword included.</param>
/// <param name="Command">For RUN: the command in comparable form, flags and white space normalised.</param>
public sealed record Instruction(int Index, string Keyword, string Text, string Command);

/// <summary>A Dockerfile's instructions, read as far as step texts need it: no expansion, no semantics.</summary>
/// <remarks>Format: Dockerfile reference (comments, <c># escape=</c> directive, continuation, here-documents).</remarks>
public sealed class Dockerfile
{
    public const int MaximumInstructions = 2000;

    private static readonly string[] Keywords =
    [
        "FROM", "RUN", "CMD", "LABEL", "EXPOSE", "ENV", "ADD", "COPY", "ENTRYPOINT", "VOLUME", "USER", "WORKDIR", "ARG",
        "ONBUILD", "STOPSIGNAL", "HEALTHCHECK", "SHELL", "MAINTAINER",
    ];

    private Dockerfile(string origin, IReadOnlyList<Instruction> instructions, string syntax)
    {
        Origin = origin;
        Instructions = instructions;
        Syntax = syntax;
        BaseImages = FindBases(instructions);
    }

    /// <summary>Where it was seen.</summary>
    public string Origin { get; }

    public IReadOnlyList<Instruction> Instructions { get; }

    /// <summary>The <c># syntax=</c> reference; empty without one.</summary>
    public string Syntax { get; }

    /// <summary>References of all FROM lines that name an image, in order, without stages and scratch.</summary>
    public IReadOnlyList<string> BaseImages { get; }

    /// <summary>Reads a text; null when it is not a Dockerfile (first instruction neither FROM nor ARG, or unknown keyword).</summary>
    public static Dockerfile? TryParse(string origin, string text)
    {
        var instructions = new List<Instruction>();
        char escape = '\\';
        string syntax = "";
        bool directives = true;
        string[] lines = text.Split('\n');
        for (int i = 0; i < lines.Length; i++)
        {
            string line = lines[i].Trim('\r', ' ', '\t', '\uFEFF');
            if (line.Length == 0)
            {
                continue;
            }

            if (line[0] == '#')
            {
                ReadDirective(line, directives, ref escape, ref syntax);
                continue;
            }

            directives = false;
            string joined = Join(lines, ref i, line, escape);
            int space = joined.IndexOfAny([' ', '\t']);
            string keyword = (space < 0 ? joined : joined[..space]).ToUpperInvariant();
            bool first = instructions.Count == 0;
            if (!Keywords.Contains(keyword) || (first && keyword is not ("FROM" or "ARG")) || instructions.Count >= MaximumInstructions)
            {
                return null;
            }

            string rest = space < 0 ? "" : joined[(space + 1)..].Trim();
            string body = HereDocument(lines, ref i, keyword, rest);
            instructions.Add(new Instruction(
                instructions.Count + 1,
                keyword,
                $"{keyword} {rest}",
                keyword == "RUN" ? Normalize(body.Length > 0 ? body : Command(StripFlags(rest))) : ""));
        }

        return instructions.Count == 0 ? null : new Dockerfile(origin, instructions, syntax);
    }

    /// <summary>The RUN instruction with this command, the first behind <paramref name="after"/>; null when there is none.</summary>
    public Instruction? FindRun(string command, int after = 0)
    {
        string wanted = Normalize(command);
        foreach (Instruction instruction in Instructions)
        {
            if (instruction.Index > after && instruction.Keyword == "RUN" && instruction.Command == wanted)
            {
                return instruction;
            }
        }

        return null;
    }

    /// <summary>Same instructions in the same order, wherever the texts came from.</summary>
    public bool SameAs(Dockerfile other)
        => Instructions.Count == other.Instructions.Count
        && Instructions.Zip(other.Instructions).All(static p => p.First.Text == p.Second.Text && p.First.Command == p.Second.Command);

    /// <summary>White space folded, so that a continuation or an indentation makes no difference.</summary>
    public static string Normalize(string command)
    {
        var folded = new StringBuilder(command.Length);
        bool space = false;
        foreach (char c in command)
        {
            if (char.IsWhiteSpace(c))
            {
                space = folded.Length > 0;
                continue;
            }

            if (space)
            {
                _ = folded.Append(' ');
                space = false;
            }

            _ = folded.Append(c);
        }

        return folded.ToString();
    }

    private static void ReadDirective(string line, bool directives, ref char escape, ref string syntax)
    {
        int equals = line.IndexOf('=');
        if (!directives || equals < 0)
        {
            return;
        }

        string name = line[1..equals].Trim();
        string value = line[(equals + 1)..].Trim();
        if (name.Equals("escape", StringComparison.OrdinalIgnoreCase) && value is "`" or "\\")
        {
            escape = value[0];
        }
        else if (name.Equals("syntax", StringComparison.OrdinalIgnoreCase))
        {
            syntax = value;
        }
    }

    private static string Join(string[] lines, ref int i, string line, char escape)
    {
        if (line[^1] != escape)
        {
            return line;
        }

        var joined = new StringBuilder();
        string current = line;
        while (true)
        {
            bool continued = current.Length > 0 && current[^1] == escape;
            _ = joined.Append(continued ? current[..^1] : current);
            if (!continued || i + 1 >= lines.Length)
            {
                return joined.ToString();
            }

            // Comments and empty lines inside a continued instruction are skipped.
            do
            {
                i++;
                current = lines[i].TrimEnd('\r', ' ', '\t');
            }
            while (i + 1 < lines.Length && (current.TrimStart().Length == 0 || current.TrimStart()[0] == '#'));
        }
    }

    private static string HereDocument(string[] lines, ref int i, string keyword, string rest)
    {
        if (keyword is not ("RUN" or "COPY" or "ADD"))
        {
            return "";
        }

        // A word of its own, perhaps behind a descriptor's number: "3<<EOF", but not "$((1<<2))".
        int at = rest.IndexOf("<<", StringComparison.Ordinal);
        int start = at;
        while (start > 0 && char.IsAsciiDigit(rest[start - 1]))
        {
            start--;
        }

        if (at < 0 || (start > 0 && !char.IsWhiteSpace(rest[start - 1])))
        {
            return "";
        }

        string word = rest[(at + 2)..].TrimStart('-').Split([' ', '\t', ';', '|', '&', ')'], 2)[0].Trim('"', '\'');
        if (word.Length == 0 || !word.All(static c => char.IsLetterOrDigit(c) || c == '_'))
        {
            return "";
        }

        var body = new StringBuilder();
        while (i + 1 < lines.Length)
        {
            i++;
            if (lines[i].Trim('\r', '\t', ' ') == word)
            {
                break;
            }

            _ = body.Append(lines[i]).Append('\n');
        }

        // "RUN <<EOF" runs the body; "RUN cat <<EOF" keeps its command in front, which the engine passes on whole.
        return at == 0 ? body.ToString() : $"{rest}\n{body}{word}";
    }

    // Exec form is a JSON array; written any way, it compares as the array the engine runs.
    private static string Command(string rest)
    {
        if (!rest.StartsWith('['))
        {
            return rest;
        }

        var arguments = new List<string>();
        try
        {
            using JsonDocument document = JsonDocument.Parse(rest);
            foreach (JsonElement element in document.RootElement.EnumerateArray())
            {
                arguments.Add(element.GetString() ?? "");
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or ArgumentException)
        {
            // "[" also begins a shell test; the engine falls back to shell form in the same way.
            return rest;
        }

        return StepText.CommandOf(arguments);
    }

    // A view that moves: a copy per flag would take minutes for a line of a megabyte.
    private static string StripFlags(string text)
    {
        ReadOnlySpan<char> rest = text;
        while (rest.StartsWith("--"))
        {
            int end = rest.IndexOfAny(' ', '\t');
            rest = end < 0 ? [] : rest[(end + 1)..].TrimStart();
        }

        return rest.ToString();
    }

    private static List<string> FindBases(IReadOnlyList<Instruction> instructions)
    {
        var bases = new List<string>();
        var stages = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (Instruction instruction in instructions)
        {
            if (instruction.Keyword != "FROM")
            {
                continue;
            }

            string[] words = StripFlags(instruction.Text["FROM ".Length..]).Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
            if (words.Length == 0)
            {
                continue;
            }

            if (words[0] != "scratch" && !stages.Contains(words[0]) && !bases.Contains(words[0]))
            {
                bases.Add(words[0]);
            }

            if (words.Length >= 3 && words[1].Equals("AS", StringComparison.OrdinalIgnoreCase))
            {
                _ = stages.Add(words[2]);
            }
        }

        return bases;
    }
}
