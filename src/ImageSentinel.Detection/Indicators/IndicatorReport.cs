namespace ImageSentinel.Detection.Indicators;

/// <summary>What came of one file.</summary>
/// <param name="Added">Indicators taken in, duplicates included.</param>
/// <param name="Skipped">Entries of a kind that is not matched (other STIX objects and patterns, revoked or expired ones).</param>
/// <param name="Bad">Entries that are nothing at all.</param>
/// <param name="FirstProblem">Where and what the first bad entry is; empty when there is none.</param>
public readonly record struct IndicatorReport(int Added, int Skipped, int Bad, string FirstProblem);
