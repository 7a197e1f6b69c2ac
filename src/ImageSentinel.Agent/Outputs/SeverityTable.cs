using ImageSentinel.V1;

namespace ImageSentinel.Agent.Outputs;

/// <summary>One severity in the words of every consumer.</summary>
/// <param name="Word">As commands take and tables show it.</param>
/// <param name="Ocsf">OCSF <c>severity</c>; its id equals ours.</param>
/// <param name="SyslogPriority">syslog(3) level. Emergency and alert stay unused: <c>journalctl -p 2</c> is what wakes someone.</param>
/// <param name="Falco">Falco's priority.</param>
public sealed record SeverityRow(Severity Severity, string Word, string Ocsf, int SyslogPriority, string Falco);

/// <summary>The severity table that all outputs share.</summary>
public static class SeverityTable
{
    private static readonly SeverityRow s_unknown = new(Severity.Unspecified, "unknown", "Unknown", 5, "Notice");

    public static IReadOnlyList<SeverityRow> Rows { get; } =
    [
        new(Severity.Informational, "informational", "Informational", 6, "Informational"),
        new(Severity.Low, "low", "Low", 5, "Notice"),
        new(Severity.Medium, "medium", "Medium", 4, "Warning"),
        new(Severity.High, "high", "High", 3, "Error"),
        new(Severity.Critical, "critical", "Critical", 2, "Critical"),
    ];

    public static SeverityRow Of(Severity severity)
        => Rows.FirstOrDefault(row => row.Severity == severity) ?? s_unknown;

    /// <summary>Any case, and the protobuf spelling (<c>SEVERITY_HIGH</c>).</summary>
    public static bool TryParse(string text, out Severity severity)
    {
        const string Prefix = "SEVERITY_";
        string word = text.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase) ? text[Prefix.Length..] : text;
        SeverityRow? row = Rows.FirstOrDefault(row => row.Word.Equals(word, StringComparison.OrdinalIgnoreCase));
        severity = row?.Severity ?? Severity.Unspecified;
        return row is not null;
    }
}
