using System.Collections.Concurrent;
using System.Globalization;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Uplink;
using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Model;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;
using CoreAllowed = ImageSentinel.Detection.Baseline.AllowedDestination;
using CoreMode = ImageSentinel.Detection.Baseline.BaselineMode;
using CorePattern = ImageSentinel.Detection.Baseline.DestinationPattern;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>The baseline on disk: what was seen, what an operator approved, and since when this host learns.</summary>
/// <remarks>
/// Owns the database and one writing thread. What the core learns is queued and written in batches; an operator's decision
/// is written before it is answered. A crash loses at most the last second of learning: what is forgotten is judged anew,
/// which errs towards telling.
/// </remarks>
internal sealed partial class BaselineStore : IDisposable
{
    private static readonly TimeSpan BatchEvery = TimeSpan.FromSeconds(1);

    private readonly SqliteConnection _connection;
    private readonly Lock _lock = new();
    private readonly BlockingCollection<Lesson> _learned = new(200_000);
    private readonly Thread _thread;
    private readonly ILogger _logger;
    private long _dropped;
    private bool _failing;

    public BaselineStore(string directory, ILogger logger)
    {
        _logger = logger;
        _connection = StateDatabase.Open(Path.Combine(directory, "baseline.db"), Prepare, logger, DateTimeOffset.UtcNow);
        _thread = new Thread(WriteLearned) { IsBackground = true, Name = "is-baseline" };
    }

    /// <summary>Destinations that did not fit the queue to the disk; they are known in memory all the same.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    /// <summary>Keeps a word about this host beside the baseline.</summary>
    /// <returns>What was kept under that name before; null when nothing was.</returns>
    public string? Remember(string name, string value)
    {
        lock (_lock)
        {
            using SqliteCommand select = Command("SELECT value FROM meta WHERE name = $n");
            _ = select.Parameters.AddWithValue("$n", name);
            string? before = select.ExecuteScalar() as string;
            if (before != value)
            {
                using SqliteCommand replace = Command("INSERT OR REPLACE INTO meta VALUES ($n, $v)");
                _ = replace.Parameters.AddWithValue("$n", name);
                _ = replace.Parameters.AddWithValue("$v", value);
                Try(replace);
            }

            return before;
        }
    }

    /// <summary>Reads everything back and lets the baseline tell this store what changes.</summary>
    public DestinationBaseline Load(BaselineOptions options, DateTimeOffset now)
    {
        string kept = Meta("learning_since", now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
        DateTimeOffset since = long.TryParse(kept, NumberStyles.None, CultureInfo.InvariantCulture, out long seconds) && seconds <= now.ToUnixTimeSeconds()
            ? DateTimeOffset.FromUnixTimeSeconds(seconds)
            : now;
        bool learning = options.Mode == Options.BaselineMode.Learning;
        var baseline = new DestinationBaseline(new CoreMode(learning, since, learning ? since + options.LearnFor : since));
        using (SqliteCommand command = Command("SELECT address, port, protocol, first_seen, on_trial FROM seen"))
        using (SqliteDataReader rows = command.ExecuteReader())
        {
            while (rows.Read())
            {
                byte[] address = (byte[])rows.GetValue(0);
                if (address.Length == 16)
                {
                    uint first = (uint)rows.GetInt64(3);
                    baseline.Seen.Restore(new SeenDestination(
                        new Destination(NetAddress.FromBytes(address), (ushort)rows.GetInt32(1), (EgressProtocol)rows.GetInt32(2)), first, first, 1, rows.GetInt32(4) != 0));
                }
            }
        }

        using (SqliteCommand command = Command("SELECT name, port, protocol, first_seen FROM names"))
        using (SqliteDataReader rows = command.ExecuteReader())
        {
            while (rows.Read())
            {
                baseline.Names.Restore(rows.GetString(0), (ushort)rows.GetInt32(1), (EgressProtocol)rows.GetInt32(2), (uint)rows.GetInt64(3));
            }
        }

        using (SqliteCommand command = Command("SELECT destination, reason FROM approved"))
        using (SqliteDataReader rows = command.ExecuteReader())
        {
            while (rows.Read())
            {
                if (CorePattern.TryParse(rows.GetString(0), out CorePattern? pattern))
                {
                    baseline.Allow(new CoreAllowed(pattern!, "approved", rows.GetString(1), null));
                }
            }
        }

        baseline.Learned = OnLearned;
        baseline.Names.Learned = OnNameLearned;
        baseline.Approved = OnApproved;
        baseline.Forgotten = OnForgotten;
        _thread.Start();
        return baseline;
    }

    public void Dispose()
    {
        _learned.CompleteAdding();
        if (_thread.ThreadState != ThreadState.Unstarted)
        {
            _thread.Join();
        }

        _learned.Dispose();
        _connection.Dispose();
    }

    private void OnLearned(Destination destination, uint seconds, bool onTrial)
    {
        if (!_learned.IsAddingCompleted && !_learned.TryAdd(new Lesson(destination, seconds, onTrial)))
        {
            _ = Interlocked.Increment(ref _dropped);
        }
    }

    private void OnApproved(CoreAllowed allowed)
    {
        lock (_lock)
        {
            using SqliteCommand command = Command("INSERT OR REPLACE INTO approved VALUES ($d, $r, unixepoch())");
            _ = command.Parameters.AddWithValue("$d", allowed.Pattern.Text);
            _ = command.Parameters.AddWithValue("$r", allowed.Reason);
            Try(command);
        }
    }

    // Names are few and come seldom: each is written by itself.
    private void OnNameLearned(string name, ushort port, EgressProtocol protocol, uint seconds)
    {
        lock (_lock)
        {
            using SqliteCommand command = Command("INSERT OR IGNORE INTO names VALUES ($n, $p, $t, $s)");
            _ = command.Parameters.AddWithValue("$n", name);
            _ = command.Parameters.AddWithValue("$p", (int)port);
            _ = command.Parameters.AddWithValue("$t", (int)protocol);
            _ = command.Parameters.AddWithValue("$s", (long)seconds);
            Try(command);
        }
    }

    private void OnForgotten(CorePattern pattern)
    {
        lock (_lock)
        {
            if (pattern.Name.Length > 0)
            {
                using SqliteCommand names = Command("DELETE FROM names WHERE (name = $n OR ($b AND name LIKE '%.' || $n)) AND ($p = 0 OR port = $p) AND ($t = 0 OR protocol = $t)");
                _ = names.Parameters.AddWithValue("$n", pattern.Name);
                _ = names.Parameters.AddWithValue("$b", pattern.Below);
                _ = names.Parameters.AddWithValue("$p", (int)pattern.Port);
                _ = names.Parameters.AddWithValue("$t", (int)pattern.Protocol);
                Try(names);
            }

            using SqliteCommand approved = Command("DELETE FROM approved WHERE destination = $d");
            _ = approved.Parameters.AddWithValue("$d", pattern.Text);
            Try(approved);

            // Addresses are stored as 16 bytes in network order, so a block is a range of blobs.
            using SqliteCommand seen = Command("DELETE FROM seen WHERE address BETWEEN $a AND $b AND ($p = 0 OR port = $p) AND ($t = 0 OR protocol = $t)");
            _ = seen.Parameters.AddWithValue("$a", BytesOf(pattern.Range.First));
            _ = seen.Parameters.AddWithValue("$b", BytesOf(pattern.Range.Last));
            _ = seen.Parameters.AddWithValue("$p", (int)pattern.Port);
            _ = seen.Parameters.AddWithValue("$t", (int)pattern.Protocol);
            Try(seen);
        }
    }

    private void WriteLearned()
    {
        var batch = new List<Lesson>();
        while (!_learned.IsCompleted)
        {
            batch.Clear();
            if (_learned.TryTake(out Lesson first, BatchEvery))
            {
                batch.Add(first);
                while (batch.Count < 5000 && _learned.TryTake(out Lesson next))
                {
                    batch.Add(next);
                }

                Write(batch);
                _ = _learned.IsAddingCompleted || Pause();
            }
        }
    }

    private static bool Pause()
    {
        Thread.Sleep(50);
        return true;
    }

    private void Write(List<Lesson> batch)
    {
        lock (_lock)
        {
            try
            {
                using SqliteTransaction transaction = _connection.BeginTransaction();
                using SqliteCommand command = Command(
                    "INSERT INTO seen VALUES ($a, $p, $t, $s, $o) ON CONFLICT DO UPDATE SET on_trial = min(on_trial, excluded.on_trial)");
                command.Transaction = transaction;
                SqliteParameter address = command.Parameters.Add("$a", SqliteType.Blob);
                SqliteParameter port = command.Parameters.Add("$p", SqliteType.Integer);
                SqliteParameter protocol = command.Parameters.Add("$t", SqliteType.Integer);
                SqliteParameter seconds = command.Parameters.Add("$s", SqliteType.Integer);
                SqliteParameter onTrial = command.Parameters.Add("$o", SqliteType.Integer);
                foreach ((Destination destination, uint seen, bool trial) in batch)
                {
                    address.Value = BytesOf(destination.Address);
                    port.Value = (int)destination.Port;
                    protocol.Value = (int)destination.Protocol;
                    seconds.Value = (long)seen;
                    onTrial.Value = trial ? 1 : 0;
                    _ = command.ExecuteNonQuery();
                }

                transaction.Commit();
                Recovered();
            }
            catch (SqliteException e)
            {
                Failed(e);
            }
        }
    }

    private static void Prepare(SqliteConnection connection)
    {
        SpoolDatabase.Execute(connection, """
            CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
            CREATE TABLE IF NOT EXISTS seen (address BLOB NOT NULL, port INTEGER NOT NULL, protocol INTEGER NOT NULL,
              first_seen INTEGER NOT NULL, on_trial INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (address, port, protocol)) WITHOUT ROWID;
            CREATE TABLE IF NOT EXISTS names (name TEXT NOT NULL, port INTEGER NOT NULL, protocol INTEGER NOT NULL,
              first_seen INTEGER NOT NULL, PRIMARY KEY (name, port, protocol)) WITHOUT ROWID;
            CREATE TABLE IF NOT EXISTS approved (destination TEXT PRIMARY KEY, reason TEXT NOT NULL, time INTEGER NOT NULL);
            """);

        // A store of an earlier version: all it holds is known.
        if (SpoolDatabase.Scalar(connection, "SELECT count(*) FROM pragma_table_info('seen') WHERE name = 'on_trial'") is 0L)
        {
            SpoolDatabase.Execute(connection, "ALTER TABLE seen ADD COLUMN on_trial INTEGER NOT NULL DEFAULT 0");
        }
    }

    private static byte[] BytesOf(NetAddress address)
    {
        byte[] bytes = new byte[16];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64BigEndian(bytes, address.High);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(8), address.Low);
        return bytes;
    }

    private string Meta(string name, string otherwise)
    {
        using (SqliteCommand insert = Command("INSERT OR IGNORE INTO meta VALUES ($n, $v)"))
        {
            _ = insert.Parameters.AddWithValue("$n", name);
            _ = insert.Parameters.AddWithValue("$v", otherwise);
            Try(insert);
        }

        using SqliteCommand select = Command("SELECT value FROM meta WHERE name = $n");
        _ = select.Parameters.AddWithValue("$n", name);
        return select.ExecuteScalar() as string ?? otherwise;
    }

    private void Try(SqliteCommand command)
    {
        try
        {
            _ = command.ExecuteNonQuery();
            Recovered();
        }
        catch (SqliteException e)
        {
            Failed(e);
        }
    }

    private void Failed(SqliteException e)
    {
        if (!_failing)
        {
            _failing = true;
            NotWritten(e.Message);
        }
    }

    private void Recovered()
    {
        if (_failing)
        {
            _failing = false;
            WrittenAgain();
        }
    }

    private SqliteCommand Command(string sql)
    {
        SqliteCommand command = _connection.CreateCommand();
        // Every statement is a constant of this file; values are parameters.
#pragma warning disable CA2100
        command.CommandText = sql;
#pragma warning restore CA2100
        return command;
    }

    private readonly record struct Lesson(Destination Destination, uint Seconds, bool OnTrial);

    [LoggerMessage(3101, LogLevel.Error, "the baseline cannot be written and is kept in memory only: {Problem}")]
    private partial void NotWritten(string problem);

    [LoggerMessage(3102, LogLevel.Information, "the baseline is written again")]
    private partial void WrittenAgain();
}
