namespace ImageSentinel.Collector.Store;

/// <summary>The database. Whole messages are kept as protobuf bytes; a column exists only where something selects by it.</summary>
/// <remarks>
/// A spool's sequence orders what one agent said, and a spool_key orders the spools of a host by first appearance: a
/// later (spool_key, sequence) is the newer word. Times are Unix milliseconds, all of them UTC.
/// </remarks>
internal static class Schema
{
    public const int Version = 1;

    public const string Create = """
        CREATE TABLE hosts(
          host_key INTEGER PRIMARY KEY,
          host_id TEXT NOT NULL UNIQUE,
          hostname TEXT NOT NULL,
          certificate TEXT,
          first_seen INTEGER NOT NULL,
          last_seen INTEGER NOT NULL,
          host BLOB NOT NULL,
          coverage BLOB,
          coverage_time INTEGER);
        CREATE TABLE spools(
          spool_key INTEGER PRIMARY KEY AUTOINCREMENT,
          host_key INTEGER NOT NULL,
          spool_id TEXT NOT NULL,
          acked INTEGER NOT NULL DEFAULT 0,
          given_up INTEGER NOT NULL DEFAULT 0,
          UNIQUE(host_key, spool_id));
        CREATE TABLE builds(
          build_key INTEGER PRIMARY KEY,
          host_key INTEGER NOT NULL,
          build_id TEXT NOT NULL,
          spool_key INTEGER NOT NULL,
          sequence INTEGER NOT NULL,
          start_time INTEGER NOT NULL,
          state INTEGER NOT NULL,
          verdict INTEGER NOT NULL,
          build BLOB NOT NULL,
          UNIQUE(build_id, host_key));
        CREATE INDEX builds_by_time ON builds(start_time);
        CREATE INDEX builds_by_host ON builds(host_key, start_time);
        CREATE TABLE findings(
          finding_key INTEGER PRIMARY KEY,
          host_key INTEGER NOT NULL,
          uid TEXT NOT NULL,
          build_id TEXT NOT NULL,
          spool_key INTEGER NOT NULL,
          sequence INTEGER NOT NULL,
          time INTEGER NOT NULL,
          severity INTEGER NOT NULL,
          finding BLOB NOT NULL,
          UNIQUE(uid, host_key));
        CREATE INDEX findings_by_time ON findings(time);
        CREATE INDEX findings_by_build ON findings(build_id);
        CREATE TABLE activities(
          activity_key INTEGER PRIMARY KEY,
          host_key INTEGER NOT NULL,
          uid TEXT NOT NULL,
          spool_key INTEGER NOT NULL,
          sequence INTEGER NOT NULL,
          time INTEGER NOT NULL,
          finding BLOB NOT NULL,
          UNIQUE(spool_key, sequence));
        CREATE INDEX activities_by_finding ON activities(uid, host_key);
        CREATE TABLE coverage(
          coverage_key INTEGER PRIMARY KEY,
          host_key INTEGER NOT NULL,
          spool_key INTEGER NOT NULL,
          sequence INTEGER NOT NULL,
          time INTEGER NOT NULL,
          coverage BLOB NOT NULL,
          UNIQUE(spool_key, sequence));
        CREATE INDEX coverage_by_host ON coverage(host_key);
        CREATE TABLE unknown_records(
          spool_key INTEGER NOT NULL,
          sequence INTEGER NOT NULL,
          time INTEGER NOT NULL,
          record BLOB NOT NULL,
          UNIQUE(spool_key, sequence));
        CREATE TABLE counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL);
        """;
}
