using System.Collections.Immutable;
using System.CommandLine;
using System.Text.Json.Nodes;
using ImageSentinel.Agent.Outputs;
using Spectre.Console;

namespace ImageSentinel.Agent.Commands;

/// <summary><c>doctor</c>: what this host lets the agent see, and what to do about the rest.</summary>
internal static class DoctorCommand
{
    public static Command Create(CommandLine line, IDoctor doctor)
    {
        Option<string?> config = CommandLine.ConfigOption();
        var json = new Option<bool>("--json") { Description = "One JSON object per check" };
        var command = new Command("doctor", "Check this host and say what to mend") { config, json };
        line.Bind(command, result =>
        {
            ImmutableArray<DoctorCheck> checks = doctor.Examine(line.Context.LoadOptions(result.GetValue(config)));
            if (result.GetValue(json))
            {
                WriteJson(line.Context.Out, checks);
            }
            else
            {
                WriteTable(line.Context.Console(), checks);
            }

            return !checks.Any(check => check.Result == DoctorResult.Failure) ? ExitCode.Success
                // Without them everything below fails for the same cause: the caller is told that one.
                : checks.Any(check => check is { Subject: DoctorCheck.Privileges, Result: DoctorResult.Failure }) ? ExitCode.MissingPrivilege
                : ExitCode.Failure;
        });
        return command;
    }

    private static void WriteJson(TextWriter output, ImmutableArray<DoctorCheck> checks)
    {
        foreach (DoctorCheck check in checks)
        {
            var row = new JsonObject
            {
                ["subject"] = check.Subject,
                ["result"] = Word(check.Result),
                ["found"] = check.Found,
                ["remedy"] = check.Remedy,
            };
            output.WriteLine(row.ToJsonString());
        }
    }

    private static void WriteTable(IAnsiConsole console, ImmutableArray<DoctorCheck> checks)
    {
        var grid = new Grid();
        grid.AddColumn(new GridColumn().NoWrap());
        grid.AddColumn(new GridColumn().NoWrap());
        grid.AddColumn();
        foreach (DoctorCheck check in checks)
        {
            grid.AddRow(
                new Text(Word(check.Result), StyleOf(check.Result)),
                new Text(Printable.Sentence(check.Subject, 40)),
                new Text(Printable.Sentence(check.Found, 1000)));
            if (check.Remedy.Length > 0)
            {
                grid.AddRow(Text.Empty, Text.Empty, new Text($"→ {Printable.Sentence(check.Remedy, 1000)}", new Style(decoration: Decoration.Bold)));
            }
        }

        console.Write(grid);
    }

    private static string Word(DoctorResult result) => result switch
    {
        DoctorResult.Ok => "ok",
        DoctorResult.Warning => "warn",
        _ => "fail",
    };

    private static Style StyleOf(DoctorResult result) => result switch
    {
        DoctorResult.Ok => new Style(Color.Green),
        DoctorResult.Warning => new Style(Color.Yellow),
        _ => new Style(Color.Red, decoration: Decoration.Bold),
    };
}
