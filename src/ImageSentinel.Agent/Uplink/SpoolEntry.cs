using Google.Protobuf;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Uplink;

internal enum SpoolKind
{
    Coverage = 0,
    Build = 1,
    Finding = 2,
}

/// <summary>A record as the spool keeps it: its bytes, and what decides how dear it is.</summary>
/// <param name="Rank">0 for coverage, else 1 to 5 like severities: what goes first when there is no room.</param>
internal sealed record SpoolEntry(SpoolKind Kind, string Id, int Rank, byte[] Bytes)
{
    /// <summary>What a row costs beside its record.</summary>
    public const int Overhead = 64;

    public long Size => Bytes.Length + Overhead;

    /// <exception cref="ArgumentException">The record has no payload; that is a mistake of the caller.</exception>
    public static SpoolEntry Of(OutputRecord record)
    {
        (SpoolKind kind, string id, int rank) = record.PayloadCase switch
        {
            OutputRecord.PayloadOneofCase.Coverage => (SpoolKind.Coverage, "", 0),
            OutputRecord.PayloadOneofCase.Build => (SpoolKind.Build, record.Build.Id, RankOf(record.Build.Verdict)),
            OutputRecord.PayloadOneofCase.Finding => (SpoolKind.Finding, record.Finding.Uid, Math.Clamp((int)record.Finding.Severity, 1, 5)),
            _ => throw new ArgumentException("a record needs a payload", nameof(record)),
        };
        return new SpoolEntry(kind, id, rank, RecordTrimmer.Fit(record).ToByteArray());
    }

    private static int RankOf(Verdict verdict) => verdict switch
    {
        Verdict.Malicious => 5,
        Verdict.Suspicious => 4,
        Verdict.Unknown => 3,
        _ => 1,
    };
}
