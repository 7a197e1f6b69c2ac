using System.Globalization;
using Google.Protobuf.WellKnownTypes;
using ImageSentinel.V1;
using Spectre.Console;

namespace ImageSentinel.Agent.Outputs.Render;

/// <summary>Parts of tables. All text is printable; callers put it into <see cref="Text"/>, never into markup.</summary>
internal static class Cells
{
    public static Table NewTable(params string[] columns)
    {
        var table = new Table { Border = TableBorder.Horizontal, ShowRowSeparators = false };
        foreach (string column in columns)
        {
            table.AddColumn(new TableColumn(new Text(column, new Style(decoration: Decoration.Bold))));
        }

        return table;
    }

    public static string Time(Timestamp? time)
        => time is null ? "" : time.ToDateTime().ToString("MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    public static string Clock(Timestamp? time)
        => time is null ? "" : time.ToDateTime().ToString("HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    public static string Image(Build build)
        => build.Image is null ? "" : Printable.Line(build.Image.Tags.Count > 0 ? string.Join(", ", build.Image.Tags) : FindingSentence.Short(build.Image.Id), 120);

    public static string State(Build build) => build.State == BuildState.Ended ? BuildWords.Result(build.Result) : "running";

    public static string Verdict(Build build) => BuildWords.Verdict(build.Verdict);

    public static string Client(Build build) => build.Clients.FirstOrDefault() switch
    {
        null => "unknown client",
        { Process: { } process } client => FindingSentence.UserName(process) ?? FindingSentence.ClientName(client),
        { } client => FindingSentence.ClientName(client),
    };

    public static Style StyleOf(Verdict verdict) => verdict switch
    {
        V1.Verdict.Clean => new Style(Color.Green),
        V1.Verdict.Suspicious => new Style(Color.Red),
        V1.Verdict.Malicious => new Style(Color.White, Color.Maroon, Decoration.Bold),
        V1.Verdict.Unknown => new Style(Color.Yellow),
        _ => Style.Plain,
    };
}
