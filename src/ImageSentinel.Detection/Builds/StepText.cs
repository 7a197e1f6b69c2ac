using System.Text;
using ImageSentinel.Detection.Text;

namespace ImageSentinel.Detection.Builds;

/// <summary>A step's instruction as its arguments tell it, when no Dockerfile was seen.</summary>
public static class StepText
{
    public const int MaximumLength = 4096;

    /// <summary>The command in the form <see cref="Dockerfile.FindRun"/> compares: the shell's text, or the JSON array.</summary>
    public static string CommandOf(IReadOnlyList<string> arguments)
    {
        // "|1 NAME=value" in front is how the classic builder writes build arguments into a command.
        int skip = 0;
        if (arguments.Count > 0 && arguments[0].StartsWith('|') && int.TryParse(arguments[0].AsSpan(1), out int count) && count >= 0)
        {
            skip = count < arguments.Count ? count + 1 : arguments.Count;
        }

        int left = arguments.Count - skip;
        if (left >= 3 && arguments[skip + 1] == "-c")
        {
            return string.Join(' ', arguments.Skip(skip + 2));
        }

        if (left == 0)
        {
            return "";
        }

        var json = new StringBuilder("[");
        for (int i = skip; i < arguments.Count; i++)
        {
            _ = json.Append(i > skip ? "," : "").Append('"')
                .Append(arguments[i].Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal))
                .Append('"');
        }

        return json.Append(']').ToString();
    }

    public static string InstructionOf(IReadOnlyList<string> arguments) => Cut("RUN " + CommandOf(arguments));

    public static string Cut(string text) => text.Length <= MaximumLength ? text : text[..MaximumLength] + "…";

    /// <summary><c>step 3 of 4 "RUN curl …"</c>, safe to show.</summary>
    public static string Describe(BuildStep step)
    {
        string text = SafeText.Display(step.Instruction, 160);
        return step.Index > 0
            ? string.Create(System.Globalization.CultureInfo.InvariantCulture, $"step {step.Index} of {step.Total} \"{text}\"")
            : $"step \"{text}\"";
    }
}
