using ImageSentinel.V1;

namespace ImageSentinel.Agent.Outputs;

/// <summary>Findings for the person in front of <c>run</c>. Owns nothing: the writer is the caller's.</summary>
public sealed class TerminalOutput(TextWriter writer, bool isTerminal) : IRecordOutput
{
    private readonly FindingLines _lines = new(writer, isTerminal);

    public string Name => "terminal";

    public void Write(IReadOnlyList<OutputRecord> batch)
    {
        foreach (OutputRecord record in batch)
        {
            _lines.Show(record);
        }
    }

    public void Dispose() => writer.Flush();
}
