using System.Collections.Immutable;
using System.CommandLine;
using System.Text.Json.Nodes;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.Detection.Posture;
using ImageSentinel.V1;
using Spectre.Console;

namespace ImageSentinel.Agent.Commands;

/// <summary>Looks at how engines are set up. Reads only.</summary>
public interface IPostureExaminer
{
    Task<ImmutableArray<EnginePosture>> ExamineAsync(AgentOptions options, CancellationToken cancellation);
}

/// <param name="Unreachable">Why the engine could not be asked; null when it could.</param>
/// <param name="Forbidden">It is there, and not for us.</param>
public sealed record EnginePosture(string Socket, string? Unreachable, bool Forbidden, ImmutableArray<PostureCheck> Checks);

/// <summary><c>posture</c>: what about each engine's set-up helps whoever wants to build on this host.</summary>
internal static class PostureCommand
{
    public static Command Create(CommandLine line, IPostureExaminer examiner)
    {
        Option<string?> config = CommandLine.ConfigOption();
        var json = new Option<bool>("--json") { Description = "One JSON object per check" };
        Option<string?> failOn = FindingsCommand.SeverityOption("--fail-on", "Exit with 10 when a check is of this severity or above");
        var command = new Command("posture", "Judge how the engines are set up, with evidence, the fix, and ATT&CK's mitigation") { config, json, failOn };
        line.Bind(command, async (result, cancellation) =>
        {
            ImmutableArray<EnginePosture> engines = await examiner.ExamineAsync(line.Context.LoadOptions(result.GetValue(config)), cancellation).ConfigureAwait(false);
            foreach (EnginePosture engine in engines)
            {
                if (result.GetValue(json))
                {
                    WriteJson(line.Context.Out, engine);
                }
                else
                {
                    WriteTable(line.Context.Console(), engine);
                }
            }

            EnginePosture? unread = engines.FirstOrDefault(static e => e.Unreachable is not null);
            if (unread is not null)
            {
                throw new CommandException(unread.Forbidden ? ExitCode.MissingPrivilege : ExitCode.Failure, $"{Printable.Line(unread.Unreachable, 300)}; what could be read without the engine was judged");
            }

            Severity limit = FindingsCommand.Parse(result.GetValue(failOn));
            return limit != Severity.Unspecified && engines.SelectMany(static e => e.Checks).Any(c => (int)c.Severity >= (int)limit)
                ? ExitCode.FindingsReached
                : ExitCode.Success;
        });
        return command;
    }

    private static void WriteJson(TextWriter output, EnginePosture engine)
    {
        foreach (PostureCheck check in engine.Checks)
        {
            var row = new JsonObject
            {
                ["engine"] = engine.Socket,
                ["check"] = check.Detector.Id,
                ["result"] = Word(check.Result),
                ["severity"] = check.Result == PostureResult.Weak ? SeverityWord(check) : null,
                ["found"] = check.Found,
                ["evidence"] = new JsonArray([.. check.Evidence.Select(static e => (JsonNode)e)]),
                ["fix"] = check.Fix,
                ["mitigations"] = new JsonArray([.. check.Detector.Mitigations.Select(static m =>
                {
                    Mitigation mitigation = AttackTable.Mitigation(m);
                    return (JsonNode)new JsonObject { ["id"] = mitigation.MitigationId, ["name"] = mitigation.MitigationName };
                })]),
            };
            output.WriteLine(row.ToJsonString());
        }
    }

    private static void WriteTable(IAnsiConsole console, EnginePosture engine)
    {
        console.Write(new Text($"engine {Printable.Line(engine.Socket, 200)}\n", new Style(decoration: Decoration.Bold)));
        var grid = new Grid();
        grid.AddColumn(new GridColumn().NoWrap());
        grid.AddColumn(new GridColumn().NoWrap());
        grid.AddColumn();
        foreach (PostureCheck check in engine.Checks)
        {
            bool weak = check.Result == PostureResult.Weak;
            grid.AddRow(
                new Text(weak ? SeverityWord(check) : Word(check.Result), weak ? Terminal.StyleOf((Severity)check.Severity) : new Style(check.Result == PostureResult.Ok ? Color.Green : Color.Yellow)),
                new Text(check.Detector.Id),
                new Text(Printable.Sentence(check.Found, 1000)));
            foreach (string evidence in check.Evidence)
            {
                grid.AddRow(Text.Empty, Text.Empty, new Text($"· {Printable.Sentence(evidence, 400)}"));
            }

            if (check.Fix.Length > 0)
            {
                string mitigations = string.Join(", ", check.Detector.Mitigations.Select(static m => $"{m} {AttackTable.Mitigation(m).MitigationName}"));
                grid.AddRow(Text.Empty, Text.Empty, new Text($"→ {Printable.Sentence(check.Fix, 1000)} ({mitigations})", new Style(decoration: Decoration.Bold)));
            }
        }

        console.Write(grid);
    }

    private static string SeverityWord(PostureCheck check)
        => SeverityTable.Rows.First(row => row.Severity == (Severity)check.Severity).Word;

    private static string Word(PostureResult result) => result switch
    {
        PostureResult.Ok => "ok",
        PostureResult.Weak => "weak",
        _ => "unknown",
    };
}
