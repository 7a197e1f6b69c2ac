using ImageSentinel.V1;
using Spectre.Console;

namespace ImageSentinel.Agent.Outputs;

/// <summary>Consoles that colour only on a terminal, and never where NO_COLOR or TERM=dumb asks them not to.</summary>
internal static class Terminal
{
    /// <summary>So wide that no line is ever broken by us.</summary>
    public const int Endless = 100_000;

    /// <summary>Columns for tables where there is no terminal to ask.</summary>
    public const int Page = 160;

    public static IAnsiConsole Create(TextWriter writer, bool isTerminal, int? width = null)
    {
        bool colour = isTerminal
            && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"))
            && Environment.GetEnvironmentVariable("TERM") is not (null or "" or "dumb");
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = colour ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = colour ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new AnsiConsoleOutput(writer),
        });
        console.Profile.Width = width ?? (isTerminal ? TerminalWidth() : Page);
        console.Profile.Capabilities.Unicode = true;
        return console;
    }

    public static Style StyleOf(Severity severity) => severity switch
    {
        Severity.Critical => new Style(Color.White, Color.Maroon, Decoration.Bold),
        Severity.High => new Style(Color.Red, decoration: Decoration.Bold),
        Severity.Medium => new Style(Color.Yellow),
        _ => Style.Plain,
    };

    private static int TerminalWidth()
    {
        try
        {
            return Console.WindowWidth is > 20 and int width ? width : Page;
        }
        catch (IOException)
        {
            return Page;
        }
    }
}
