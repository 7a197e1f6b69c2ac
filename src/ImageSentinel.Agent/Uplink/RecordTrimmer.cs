using System.Globalization;
using Google.Protobuf.Collections;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Uplink;

/// <summary>Cuts a record that no message could carry. Without this, one build with a hundred thousand connections
/// would block the uplink for good, because the collector refuses messages above 2 MiB.</summary>
internal static class RecordTrimmer
{
    /// <summary>Bytes of one record.</summary>
    public const int MaximumSize = 1 << 20;

    /// <summary>The record itself when it fits, otherwise a copy that does and says what was cut.</summary>
    public static OutputRecord Fit(OutputRecord record)
    {
        int size = record.CalculateSize();
        if (size <= MaximumSize)
        {
            return record;
        }

        OutputRecord cut = record.Clone();
        string note = string.Create(CultureInfo.InvariantCulture, $"shortened: this record had {size} bytes, more than a message carries; the first entries of each list were kept");
        for (int keep = 256; keep >= 1 && cut.CalculateSize() > MaximumSize - 512; keep /= 4)
        {
            Shorten(cut, keep);
        }

        switch (cut.PayloadCase)
        {
            case OutputRecord.PayloadOneofCase.Build:
                cut.Build.Notes.Add(note);
                break;
            case OutputRecord.PayloadOneofCase.Finding:
                (cut.Finding.Coverage ??= new Coverage()).Notes.Add(note);
                break;
            default:
                cut.Coverage.Notes.Add(note);
                break;
        }

        return cut;
    }

    private static void Shorten(OutputRecord record, int keep)
    {
        switch (record.PayloadCase)
        {
            case OutputRecord.PayloadOneofCase.Build:
                Shorten(record.Build, keep);
                break;
            case OutputRecord.PayloadOneofCase.Finding:
                Shorten(record.Finding, keep);
                break;
            default:
                Cut(record.Coverage.Notes, keep);
                Cut(record.Coverage.Sensors, keep);
                break;
        }
    }

    private static void Shorten(Build build, int keep)
    {
        Cut(build.Steps, Math.Max(keep * 4, 8));
        Cut(build.Clients, keep);
        Cut(build.DaemonFetches, keep);
        Cut(build.BaseImages, keep);
        Cut(build.FindingUids, keep);
        Cut(build.Notes, keep);
        Cut(build.Image?.Tags, keep);
        Cut(build.Coverage?.Notes, keep);
        foreach (BuildStep step in build.Steps)
        {
            step.Instruction = Cut(step.Instruction, keep);
            Cut(step.Egress, keep);
            Cut(step.Files, keep);
            foreach (Egress egress in step.Egress)
            {
                Shorten(egress, keep);
            }

            foreach (FileArtifact file in step.Files)
            {
                Shorten(file.Process, keep);
            }
        }

        foreach (BuildClient client in build.Clients)
        {
            Shorten(client.Process, keep);
        }

        foreach (DaemonFetch fetch in build.DaemonFetches)
        {
            fetch.What = Cut(fetch.What, keep);
            Shorten(fetch.Egress, keep);
        }
    }

    private static void Shorten(Finding finding, int keep)
    {
        finding.Message = Cut(finding.Message, keep);
        Cut(finding.Evidence, keep);
        Cut(finding.NextSteps, keep);
        Cut(finding.Coverage?.Notes, keep);
        foreach (Evidence evidence in finding.Evidence)
        {
            evidence.Summary = Cut(evidence.Summary, keep);
            Shorten(evidence.Process, keep);
            Shorten(evidence.Egress, keep);
            Shorten(evidence.File?.Process, keep);
            Shorten(evidence.Client?.Process, keep);
        }
    }

    private static void Shorten(Egress? egress, int keep)
    {
        Cut(egress?.Names, keep);
        Shorten(egress?.Process, keep);
    }

    private static void Shorten(ProcessInfo? process, int keep)
    {
        if (process is null)
        {
            return;
        }

        Cut(process.Args, keep);
        Cut(process.Ancestors, keep);
        for (int i = 0; i < process.Args.Count; i++)
        {
            process.Args[i] = Cut(process.Args[i], keep);
        }
    }

    private static void Cut<T>(RepeatedField<T>? list, int keep)
    {
        while (list?.Count > keep)
        {
            list.RemoveAt(list.Count - 1);
        }
    }

    private static string Cut(string text, int keep)
        => text.Length <= keep * 16 ? text : string.Concat(text.AsSpan(0, keep * 16), "…");
}
