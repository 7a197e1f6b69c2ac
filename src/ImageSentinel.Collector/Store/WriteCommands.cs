using Microsoft.Data.Sqlite;

namespace ImageSentinel.Collector.Store;

/// <summary>The prepared statements of the writer; they live as long as its connection.</summary>
internal sealed class WriteCommands : IDisposable
{
    // How many coverage reports are kept for each host.
    private const int CoverageHistory = 1000;

    // $9: the activity; 3 closes the finding.
    private const string NoMilderFinding = "excluded.severity >= findings.severity AND $9 <> 3";

    private static readonly string NoMilderBuild = $"excluded.state >= builds.state AND {Rank("excluded.verdict")} >= {Rank("builds.verdict")}";

    private readonly List<Statement> _all = [];

    public WriteCommands(SqliteConnection connection)
    {
        Connection = connection;
        FindHost = Add("SELECT host_key, certificate FROM hosts WHERE host_id = $1");
        CountHosts = Add("SELECT COUNT(*) FROM hosts");
        UpsertHost = Add("""
            INSERT INTO hosts(host_id, hostname, certificate, first_seen, last_seen, host) VALUES($1, $2, $3, $4, $4, $5)
            ON CONFLICT(host_id) DO UPDATE SET hostname = excluded.hostname, last_seen = excluded.last_seen,
              host = excluded.host, certificate = COALESCE(hosts.certificate, excluded.certificate)
            """);
        TouchHost = Add("UPDATE hosts SET last_seen = MAX(last_seen, $2) WHERE host_key = $1");
        SetCoverage = Add("""
            UPDATE hosts SET coverage = $3, coverage_time = $2
            WHERE host_key = $1 AND (coverage_time IS NULL OR coverage_time <= $2)
            """);
        AddSpool = Add("INSERT INTO spools(host_key, spool_id) VALUES($1, $2) ON CONFLICT DO NOTHING");
        FindSpool = Add("SELECT spool_key, acked FROM spools WHERE host_key = $1 AND spool_id = $2");
        SetAcked = Add("UPDATE spools SET acked = MAX(acked, $2) WHERE spool_key = $1");
        SetGivenUp = Add("UPDATE spools SET given_up = MAX(given_up, $2) WHERE spool_key = $1");
        UpsertBuild = Add($"""
            INSERT INTO builds(host_key, build_id, spool_key, sequence, start_time, state, verdict, build)
            VALUES($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT(build_id, host_key) DO UPDATE SET spool_key = excluded.spool_key, sequence = excluded.sequence,
              start_time = excluded.start_time, state = excluded.state, verdict = excluded.verdict, build = excluded.build
            WHERE {Replaces("builds", NoMilderBuild)}
            """);
        UpsertFinding = Add($"""
            INSERT INTO findings(host_key, uid, build_id, spool_key, sequence, time, severity, finding)
            VALUES($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT(uid, host_key) DO UPDATE SET build_id = excluded.build_id, spool_key = excluded.spool_key,
              sequence = excluded.sequence, time = excluded.time, severity = excluded.severity, finding = excluded.finding
            WHERE {Replaces("findings", NoMilderFinding)}
            """);
        AddActivity = Add("""
            INSERT INTO activities(host_key, uid, spool_key, sequence, time, finding) VALUES($1, $2, $3, $4, $5, $6)
            ON CONFLICT DO NOTHING
            """);
        FindBuildSpool = Add("SELECT spool_key FROM builds WHERE host_key = $1 AND build_id = $2");
        FindFindingSpool = Add("SELECT spool_key FROM findings WHERE host_key = $1 AND uid = $2");
        CountConflict = Add("INSERT INTO counters VALUES('conflicts', 1) ON CONFLICT(name) DO UPDATE SET value = value + 1");
        AddCoverage = Add("""
            INSERT INTO coverage(host_key, spool_key, sequence, time, coverage) VALUES($1, $2, $3, $4, $5)
            ON CONFLICT DO NOTHING
            """);
        TrimCoverage = Add($"""
            DELETE FROM coverage WHERE host_key = $1 AND coverage_key <=
              (SELECT coverage_key FROM coverage WHERE host_key = $1 ORDER BY coverage_key DESC LIMIT 1 OFFSET {CoverageHistory})
            """);
        AddUnknown = Add("""
            INSERT INTO unknown_records(spool_key, sequence, time, record) VALUES($1, $2, $3, $4) ON CONFLICT DO NOTHING
            """);
    }

    public SqliteConnection Connection { get; }

    public Statement FindHost { get; }

    public Statement CountHosts { get; }

    public Statement UpsertHost { get; }

    public Statement TouchHost { get; }

    public Statement SetCoverage { get; }

    public Statement AddSpool { get; }

    public Statement FindSpool { get; }

    public Statement SetAcked { get; }

    public Statement SetGivenUp { get; }

    public Statement UpsertBuild { get; }

    public Statement UpsertFinding { get; }

    public Statement AddActivity { get; }

    public Statement FindBuildSpool { get; }

    public Statement FindFindingSpool { get; }

    public Statement CountConflict { get; }

    public Statement AddCoverage { get; }

    public Statement TrimCoverage { get; }

    public Statement AddUnknown { get; }

    public void Use(SqliteTransaction transaction)
    {
        foreach (Statement statement in _all)
        {
            statement.Use(transaction);
        }
    }

    public void Dispose() => _all.ForEach(statement => statement.Dispose());

    // A later word of the same spool always counts. A later spool of the host is the same agent after its spool was lost,
    // or somebody else who reached the port and named the host: it may add to what is known, never take away from it.
    private static string Replaces(string table, string isNoMilder)
        => $"""
            (excluded.spool_key = {table}.spool_key AND excluded.sequence > {table}.sequence)
              OR (excluded.spool_key > {table}.spool_key AND {isNoMilder})
            """;

    // CLEAN < UNKNOWN < SUSPICIOUS < MALICIOUS; the numbers are the protocol's.
    private static string Rank(string verdict) => $"CASE {verdict} WHEN 1 THEN 1 WHEN 4 THEN 2 WHEN 2 THEN 3 WHEN 3 THEN 4 ELSE 0 END";

    private Statement Add(string sql)
    {
        var statement = new Statement(Connection, sql);
        _all.Add(statement);
        return statement;
    }

    /// <summary>One prepared statement with parameters $1, $2 … in order.</summary>
    internal sealed class Statement(SqliteConnection connection, string sql) : IDisposable
    {
        private readonly SqliteCommand _command = new(sql, connection);

        public void Use(SqliteTransaction transaction) => _command.Transaction = transaction;

        /// <summary>Runs it and answers how many rows changed.</summary>
        public int Run(params ReadOnlySpan<object> values)
        {
            Bind(values);
            return _command.ExecuteNonQuery();
        }

        public T? ReadRow<T>(Func<SqliteDataReader, T> read, params ReadOnlySpan<object> values)
            where T : struct
        {
            Bind(values);
            using SqliteDataReader reader = _command.ExecuteReader();
            return reader.Read() ? read(reader) : null;
        }

        public void Dispose() => _command.Dispose();

        private void Bind(ReadOnlySpan<object> values)
        {
            while (_command.Parameters.Count < values.Length)
            {
                _command.Parameters.Add(new SqliteParameter { ParameterName = $"${_command.Parameters.Count + 1}" });
            }

            for (int i = 0; i < values.Length; i++)
            {
                _command.Parameters[i].Value = values[i];
            }
        }
    }
}
