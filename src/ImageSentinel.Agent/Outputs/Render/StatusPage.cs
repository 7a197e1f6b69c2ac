using System.Globalization;
using ImageSentinel.V1;
using Spectre.Console;

namespace ImageSentinel.Agent.Outputs.Render;

/// <summary><c>status</c> for a person.</summary>
internal static class StatusPage
{
    public static void Write(IAnsiConsole console, GetStatusResponse status)
    {
        var grid = new Grid();
        grid.AddColumn(new GridColumn().NoWrap());
        grid.AddColumn();
        Row(grid, "agent", Agent(status));
        foreach (EngineStatus engine in status.Engines)
        {
            Row(grid, "engine", Engine(engine));
        }

        foreach (SensorCoverage sensor in status.Coverage?.Sensors ?? [])
        {
            Row(grid, $"sensor {Printable.Line(sensor.Sensor, 20)}", Sensor(sensor), StyleOf(sensor.State));
        }

        if (status.Coverage is { } coverage)
        {
            Row(grid, "lost", coverage.LostEvents == 0 ? "nothing" : Number(coverage.LostEvents) + " events", coverage.LostEvents == 0 ? Style.Plain : new Style(Color.Yellow));
            if (coverage.Baseline is { } baseline)
            {
                Row(grid, "baseline", Baseline(baseline));
            }

            foreach (string note in coverage.Notes)
            {
                Row(grid, "note", Printable.Sentence(note, 1000));
            }
        }

        Row(grid, "builds", $"{Number(status.Builds)} seen, {Number(status.BuildsActive)} running");
        Row(grid, "findings", Findings(status));
        Row(grid, "collector", $"{Printable.Sentence(status.Collector.Length > 0 ? status.Collector : "none", 400)}; {Number(status.SpoolDepth)} records waiting");
        console.Write(grid);
    }

    private static void Row(Grid grid, string name, string text, Style? style = null)
        => grid.AddRow(new Text(name, new Style(decoration: Decoration.Bold)), new Text(text, style ?? Style.Plain));

    private static string Agent(GetStatusResponse status)
    {
        HostInfo? host = status.Coverage?.Host;
        string since = status.Started is null ? "" : $", up since {Cells.Time(status.Started)}";
        string version = host is { AgentVersion.Length: > 0 } ? Printable.Line(host.AgentVersion, 40) : "unknown version";
        string where = host is { Hostname.Length: > 0 } ? $" on {Printable.Line(host.Hostname, 100)}" : "";
        return string.Create(CultureInfo.InvariantCulture, $"{version}{where}{since}, {status.ResidentKib / 1024.0:0.0} MiB resident");
    }

    private static string Engine(EngineStatus engine)
    {
        string text = engine.Reachable
            ? string.Create(CultureInfo.InvariantCulture, $"{engine.Socket}: version {engine.Version}, pid {engine.DaemonPid}, data root {engine.DataRoot}")
            : $"{engine.Socket}: not reachable";
        return Printable.Sentence(engine.Note.Length > 0 ? $"{text}; {engine.Note}" : text, 600);
    }

    private static string Sensor(SensorCoverage sensor)
    {
        string text = $"{BuildWords.Sensor(sensor.State)}, {Number(sensor.Received)} records";
        ulong lost = sensor.LostInKernel + sensor.Dropped + sensor.Missing;
        text = lost == 0 ? text : $"{text}, lost {Number(sensor.LostInKernel)} in the kernel, {Number(sensor.Dropped)} here, {Number(sensor.Missing)} by serial";
        return Printable.Sentence(sensor.Reason.Length > 0 ? $"{text}; {sensor.Reason}" : text, 600);
    }

    private static string Baseline(BaselineState baseline)
    {
        string since = baseline.LearningSince is null ? "" : $" since {Cells.Time(baseline.LearningSince)}";
        string until = baseline.Mode == "learning" && baseline.EnforcingFrom is not null ? $", enforcing from {Cells.Time(baseline.EnforcingFrom)}" : "";
        return $"{Printable.Line(baseline.Mode, 20)}{since}{until}, {Number(baseline.Destinations)} {(baseline.Destinations == 1 ? "destination" : "destinations")}";
    }

    private static string Findings(GetStatusResponse status)
    {
        IEnumerable<string> counts = SeverityTable.Rows.Reverse()
            .Where(row => status.FindingsBySeverity.TryGetValue(row.Word, out ulong count) && count > 0)
            .Select(row => $"{Number(status.FindingsBySeverity[row.Word])} {row.Word}");
        return counts.Any() ? string.Join(", ", counts) : "none";
    }

    private static string Number(ulong value) => value.ToString("N0", CultureInfo.InvariantCulture);

    private static Style StyleOf(SensorState state) => state switch
    {
        SensorState.Active => new Style(Color.Green),
        SensorState.Degraded => new Style(Color.Yellow),
        _ => new Style(decoration: Decoration.Dim),
    };
}
