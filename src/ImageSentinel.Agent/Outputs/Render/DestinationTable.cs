using System.Globalization;
using ImageSentinel.V1;
using Spectre.Console;

namespace ImageSentinel.Agent.Outputs.Render;

/// <summary><c>baseline show</c>.</summary>
internal static class DestinationTable
{
    public static void Write(IAnsiConsole console, IReadOnlyCollection<KnownDestination> destinations)
    {
        if (destinations.Count == 0)
        {
            console.WriteLine("the baseline is empty");
            return;
        }

        Table table = Cells.NewTable("destination", "seen", "first", "last", "source", "reason");
        foreach (KnownDestination known in destinations.OrderByDescending(known => known.LastSeen?.ToDateTime() ?? DateTime.MinValue))
        {
            table.AddRow(
                new Text(Printable.Line(known.Destination, 200)),
                new Text(known.Count.ToString(CultureInfo.InvariantCulture)),
                new Text(Cells.Time(known.FirstSeen)),
                new Text(Cells.Time(known.LastSeen)),
                new Text(Printable.Line(known.Source, 20)),
                new Text(Printable.Sentence(known.Reason, 200)));
        }

        console.Write(table);
    }
}
