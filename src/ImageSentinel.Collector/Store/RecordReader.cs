using ImageSentinel.V1;
using Microsoft.Data.Sqlite;

namespace ImageSentinel.Collector.Store;

/// <summary>What the read API and the page ask. Each question has its own connection from a pool and sees one
/// consistent state; writing goes on meanwhile.</summary>
internal sealed class RecordReader(StoreDatabase database)
{
    // Of one answer: a thousand of the largest builds would not fit into memory.
    private const long MaximumBytes = 32 << 20;

    /// <summary>Newest first. <paramref name="host"/> is a host id or a host name.</summary>
    public Listing<Build> Builds(int limit, DateTimeOffset? since = null, string? host = null, Verdict verdict = Verdict.Unspecified)
        => Query(
            """
            SELECT b.build FROM builds b JOIN hosts h USING(host_key)
            WHERE b.start_time >= $since AND ($host IS NULL OR h.host_id = $host OR h.hostname = $host)
              AND ($verdict = 0 OR b.verdict = $verdict)
            ORDER BY b.start_time DESC, b.build_key DESC LIMIT $limit
            """,
            V1.Build.Parser.ParseFrom,
            ("$since", since?.ToUnixTimeMilliseconds() ?? long.MinValue), ("$host", host), ("$verdict", (int)verdict), ("$limit", limit));

    public Build? Build(string id)
        => Query(
            "SELECT build FROM builds WHERE build_id = $id ORDER BY start_time DESC LIMIT 1",
            V1.Build.Parser.ParseFrom,
            ("$id", id)).FirstOrDefault();

    /// <summary>Newest first, at least <paramref name="severity"/>.</summary>
    public Listing<Finding> Findings(int limit, Severity severity = Severity.Unspecified, string? buildId = null, DateTimeOffset? since = null, string? host = null)
        => Query(
            """
            SELECT f.finding FROM findings f JOIN hosts h USING(host_key)
            WHERE f.severity >= $severity AND ($build IS NULL OR f.build_id = $build) AND f.time >= $since
              AND ($host IS NULL OR h.host_id = $host OR h.hostname = $host)
            ORDER BY f.time DESC, f.finding_key DESC LIMIT $limit
            """,
            V1.Finding.Parser.ParseFrom,
            ("$severity", (int)severity), ("$build", buildId), ("$since", since?.ToUnixTimeMilliseconds() ?? long.MinValue),
            ("$host", host), ("$limit", limit));

    public Finding? Finding(string uid)
        => Query(
            "SELECT finding FROM findings WHERE uid = $uid ORDER BY time DESC LIMIT 1",
            V1.Finding.Parser.ParseFrom,
            ("$uid", uid)).FirstOrDefault();

    /// <summary>Every state of a finding, oldest first.</summary>
    public Listing<Finding> Activities(string uid, int limit = 500)
        => Query(
            "SELECT finding FROM activities WHERE uid = $uid ORDER BY spool_key, sequence LIMIT $limit",
            V1.Finding.Parser.ParseFrom,
            ("$uid", uid), ("$limit", limit));

    /// <summary>Last seen first.</summary>
    public List<HostState> Hosts(int limit = 10_000)
        => Query(
            """
            SELECT h.host, h.first_seen, h.last_seen, h.coverage, h.certificate,
              (SELECT COALESCE(SUM(given_up), 0) FROM spools s WHERE s.host_key = h.host_key),
              (SELECT COUNT(*) FROM unknown_records u JOIN spools s USING(spool_key) WHERE s.host_key = h.host_key)
            FROM hosts h ORDER BY h.last_seen DESC LIMIT $limit
            """,
            row => new HostState(
                HostInfo.Parser.ParseFrom(row.GetFieldValue<byte[]>(0)),
                DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(1)),
                DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(2)),
                row.IsDBNull(3) ? null : Coverage.Parser.ParseFrom(row.GetFieldValue<byte[]>(3)),
                row.IsDBNull(4) ? null : row.GetString(4),
                (ulong)row.GetInt64(5),
                row.GetInt64(6)),
            ("$limit", limit));

    public List<(string HostId, string Hostname, DateTimeOffset LastSeen)> LastWords()
        => Query(
            "SELECT host_id, hostname, last_seen FROM hosts",
            row => (row.GetString(0), row.GetString(1), DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(2))));

    /// <summary>Bytes of the database that hold something.</summary>
    public long SizeInUse()
        => Query(
            "SELECT (p.page_count - f.freelist_count) * s.page_size FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s",
            row => row.GetInt64(0)).Single();

    /// <summary>How many findings of each severity belong to these builds.</summary>
    public Dictionary<string, int> FindingsPerBuild(IEnumerable<string> buildIds)
    {
        using SqliteConnection connection = database.OpenReader();
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = "SELECT COUNT(*) FROM findings WHERE build_id = $id";
        SqliteParameter id = command.Parameters.Add("$id", SqliteType.Text);
        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (string buildId in buildIds)
        {
            id.Value = buildId;
            counts[buildId] = (int)(long)command.ExecuteScalar()!;
        }

        return counts;
    }

    public long Counter(string name)
        => Query("SELECT value FROM counters WHERE name = $name", row => row.GetInt64(0), ("$name", name)).FirstOrDefault();

    private Listing<T> Query<T>(string sql, Func<byte[], T> parse, params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        long bytes = 0;
        Listing<T> rows = Query(
            sql,
            row =>
            {
                byte[] message = row.GetFieldValue<byte[]>(0);
                bytes += message.Length;
                return parse(message);
            },
            () => bytes > MaximumBytes,
            parameters);
        return rows;
    }

    private Listing<T> Query<T>(string sql, Func<SqliteDataReader, T> read, params ReadOnlySpan<(string Name, object? Value)> parameters)
        => Query(sql, read, static () => false, parameters);

    private Listing<T> Query<T>(string sql, Func<SqliteDataReader, T> read, Func<bool> enough, ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        using SqliteConnection connection = database.OpenReader();
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        foreach ((string name, object? value) in parameters)
        {
            command.Parameters.AddWithValue(name, value ?? DBNull.Value);
        }

        using SqliteDataReader rows = command.ExecuteReader();
        var answers = new Listing<T>();
        while (rows.Read())
        {
            if (enough())
            {
                answers.Truncated = true;
                break;
            }

            answers.Add(read(rows));
        }

        return answers;
    }
}

/// <summary>An answer in order, which may have been cut short because it grew too large.</summary>
internal sealed class Listing<T> : List<T>
{
    public bool Truncated { get; set; }
}
