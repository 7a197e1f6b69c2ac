using Microsoft.Data.Sqlite;

namespace ImageSentinel.Agent.Uplink;

/// <summary>The statements on an open <c>spool.db</c>. Not thread safe: <see cref="FindingSpool"/> takes turns.</summary>
/// <remarks>Owns the connection. Its totals are those of the last commit.</remarks>
internal sealed class SpoolTable : IDisposable
{
    // Once above the limit, make room for a while, not for one record.
    private const double EvictTo = 0.95;

    private readonly SqliteConnection _connection;
    private readonly SpoolOptions _options;
    private readonly SqliteCommand _insert;
    private readonly SqliteCommand _upsertHistory;
    private readonly SqliteCommand _read;
    private readonly SqliteCommand _acknowledge;
    private readonly SqliteCommand _evict;
    private Totals _totals;

    public SpoolTable(SqliteConnection connection, SpoolOptions options)
    {
        _connection = connection;
        _options = options;
        SpoolId = (string)SpoolDatabase.Scalar(connection, "SELECT value FROM facts WHERE name = 'spool_id'")!;
        _totals = new Totals(
            Number("SELECT COUNT(*) FROM records"),
            Number("SELECT COALESCE(SUM(size), 0) FROM records"),
            Number("SELECT COALESCE(MAX(value), 0) FROM facts WHERE name = 'given_up'"),
            Number("SELECT COALESCE(SUM(size), 0) FROM history"),
            Number("SELECT COALESCE(MAX(updated), 0) FROM history"),
            0,
            Number("SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'records'"));
        _insert = Prepare("INSERT INTO records(kind, id, rank, size, record) VALUES($1, $2, $3, $4, $5) RETURNING sequence", 5);
        _upsertHistory = Prepare("""
            INSERT INTO history(kind, id, rank, size, record, updated) VALUES($1, $2, $3, $4, $5, $6)
            ON CONFLICT(kind, id) DO UPDATE SET rank = excluded.rank, size = excluded.size, record = excluded.record, updated = excluded.updated
            """, 6);
        _read = Prepare("SELECT sequence, size, record FROM records WHERE sequence > $1 ORDER BY sequence LIMIT $2", 2);
        _acknowledge = Prepare("DELETE FROM records WHERE sequence <= $1 RETURNING size", 1);
        _evict = Prepare("DELETE FROM records WHERE sequence = (SELECT sequence FROM records ORDER BY rank, sequence LIMIT 1) RETURNING size", 0);
    }

    public string SpoolId { get; private set; }

    public long Depth => _totals.Count;

    public long Bytes => _totals.Bytes;

    public ulong GivenUp => (ulong)_totals.GivenUp;

    public ulong LastSequence => (ulong)_totals.LastSequence;

    /// <summary>Writes all of them or none, in one transaction that is on the disk when this returns.</summary>
    /// <param name="givenUpBefore">Records lost in memory since the last write, to be counted with this one.</param>
    public void Write(IReadOnlyCollection<SpoolEntry> entries, long givenUpBefore)
    {
        Totals totals = _totals with { GivenUp = _totals.GivenUp + givenUpBefore };
        using (SqliteTransaction transaction = _connection.BeginTransaction())
        {
            Enlist(transaction);
            foreach (SpoolEntry entry in entries)
            {
                if (_options.Forward)
                {
                    Bind(_insert, (int)entry.Kind, entry.Id, entry.Rank, entry.Size, entry.Bytes);
                    totals.LastSequence = (long)_insert.ExecuteScalar()!;
                    totals.Count++;
                    totals.Bytes += entry.Size;
                }

                if (entry.Kind != SpoolKind.Coverage)
                {
                    totals.Clock++;
                    Bind(_upsertHistory, (int)entry.Kind, entry.Id, entry.Rank, entry.Size, entry.Bytes, totals.Clock);
                    _upsertHistory.ExecuteNonQuery();
                    totals.HistoryBytes += entry.Size;
                }
            }

            if (totals.Bytes > _options.SizeLimit)
            {
                MakeRoom(transaction, ref totals);
            }

            TrimHistory(transaction, ref totals);
            if (totals.GivenUp != _totals.GivenUp)
            {
                Run(transaction, $"INSERT INTO facts VALUES('given_up', {totals.GivenUp}) ON CONFLICT(name) DO UPDATE SET value = excluded.value");
            }

            transaction.Commit();
        }

        _totals = totals;
    }

    /// <summary>The next records after a sequence: up to a count and a size, but always one if there is one.</summary>
    public List<SpooledBytes> ReadAfter(ulong sequence, int maximumCount, long maximumBytes)
    {
        var records = new List<SpooledBytes>();
        _read.Transaction = null;
        Bind(_read, (long)sequence, maximumCount);
        using SqliteDataReader rows = _read.ExecuteReader();
        long bytes = 0;
        while (rows.Read())
        {
            bytes += rows.GetInt64(1);
            if (records.Count > 0 && bytes > maximumBytes)
            {
                break;
            }

            records.Add(new SpooledBytes((ulong)rows.GetInt64(0), rows.GetFieldValue<byte[]>(2)));
        }

        return records;
    }

    public void AcknowledgeThrough(ulong sequence)
    {
        Totals totals = _totals;
        using (SqliteTransaction transaction = _connection.BeginTransaction())
        {
            _acknowledge.Transaction = transaction;
            Bind(_acknowledge, (long)Math.Min(sequence, long.MaxValue));
            using (SqliteDataReader deleted = _acknowledge.ExecuteReader())
            {
                while (deleted.Read())
                {
                    totals.Count--;
                    totals.Bytes -= deleted.GetInt64(0);
                }
            }

            transaction.Commit();
        }

        _totals = totals;
    }

    /// <summary>A new identity: the collector knows sequences of the old one that this file has not given out yet.</summary>
    public void RenewIdentity()
    {
        string id = SpoolDatabase.NewId();
        SpoolDatabase.Execute(_connection, $"UPDATE facts SET value = '{id}' WHERE name = 'spool_id'");
        SpoolId = id;
    }

    /// <summary>The last <paramref name="count"/> of a kind, oldest first, at least as dear as <paramref name="rank"/>.</summary>
    public List<byte[]> History(SpoolKind kind, int count, int rank)
    {
        using SqliteCommand command = Prepare("SELECT record FROM history WHERE kind = $1 AND rank >= $2 ORDER BY updated DESC LIMIT $3", 3);
        Bind(command, (int)kind, rank, count);
        using SqliteDataReader rows = command.ExecuteReader();
        var records = new List<byte[]>();
        while (rows.Read())
        {
            records.Add(rows.GetFieldValue<byte[]>(0));
        }

        records.Reverse();
        return records;
    }

    public byte[]? Find(SpoolKind kind, string id)
    {
        using SqliteCommand command = Prepare("SELECT record FROM history WHERE kind = $1 AND id = $2", 2);
        Bind(command, (int)kind, id);
        return (byte[]?)command.ExecuteScalar();
    }

    public void Dispose()
    {
        foreach (SqliteCommand command in (SqliteCommand[])[_insert, _upsertHistory, _read, _acknowledge, _evict])
        {
            command.Dispose();
        }

        _connection.Dispose();
    }

    private void MakeRoom(SqliteTransaction transaction, ref Totals totals)
    {
        long target = (long)(_options.SizeLimit * EvictTo);

        // A state of a build that a later row replaces tells the collector nothing; it goes uncounted.
        using (SqliteCommand superseded = Command(transaction, """
            DELETE FROM records WHERE kind = 1 AND sequence NOT IN (SELECT MAX(sequence) FROM records WHERE kind = 1 GROUP BY id)
            RETURNING size
            """))
        using (SqliteDataReader deleted = superseded.ExecuteReader())
        {
            while (deleted.Read())
            {
                totals.Count--;
                totals.Bytes -= deleted.GetInt64(0);
            }
        }

        while (totals.Bytes > target && _evict.ExecuteScalar() is long size)
        {
            totals.Count--;
            totals.Bytes -= size;
            totals.GivenUp++;
        }
    }

    private void TrimHistory(SqliteTransaction transaction, ref Totals totals)
    {
        // Replaced entries were counted again on top of themselves, so the sum is exact only here. Not at each write:
        // this reads the whole table.
        if (totals.Clock - totals.Trimmed < Math.Max(64, _options.HistoryCount / 4) && totals.HistoryBytes <= _options.HistoryBytes)
        {
            return;
        }

        totals.Trimmed = totals.Clock;

        Run(transaction, $"""
            DELETE FROM history WHERE (kind, id) IN (
              SELECT kind, id FROM (
                SELECT kind, id, SUM(size) OVER newest AS total, ROW_NUMBER() OVER newest AS place FROM history
                WINDOW newest AS (PARTITION BY kind ORDER BY updated DESC))
              WHERE place > {_options.HistoryCount} OR total > {_options.HistoryBytes / 2})
            """);
        using SqliteCommand sum = Command(transaction, "SELECT COALESCE(SUM(size), 0) FROM history");
        totals.HistoryBytes = (long)sum.ExecuteScalar()!;
    }

    private void Enlist(SqliteTransaction transaction)
    {
        _insert.Transaction = transaction;
        _upsertHistory.Transaction = transaction;
        _evict.Transaction = transaction;
    }

    private static void Bind(SqliteCommand command, params ReadOnlySpan<object> values)
    {
        for (int i = 0; i < values.Length; i++)
        {
            command.Parameters[i].Value = values[i];
        }
    }

    private SqliteCommand Prepare(string sql, int parameters)
    {
        var command = new SqliteCommand(sql, _connection);
        for (int i = 1; i <= parameters; i++)
        {
            command.Parameters.Add(new SqliteParameter { ParameterName = $"${i}" });
        }

        return command;
    }

    private SqliteCommand Command(SqliteTransaction transaction, string sql)
        => new(sql, _connection, transaction);

    private void Run(SqliteTransaction transaction, string sql)
    {
        using SqliteCommand command = Command(transaction, sql);
        command.ExecuteNonQuery();
    }

    private long Number(string sql) => (long)SpoolDatabase.Scalar(_connection, sql)!;

    private record struct Totals(long Count, long Bytes, long GivenUp, long HistoryBytes, long Clock, long Trimmed, long LastSequence);
}
