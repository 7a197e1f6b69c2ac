using ImageSentinel.Collector.Hosting;
using Microsoft.Data.Sqlite;

namespace ImageSentinel.Collector.Store;

/// <summary>Removes what is too old, and the least telling of the oldest when the database is too large.</summary>
/// <remarks>In small transactions, so that agents never wait long. What was removed is counted, said and shown.</remarks>
internal sealed partial class Retention(
    RecordStore store,
    RecordReader reader,
    CollectorOptions options,
    TimeProvider time,
    ILogger<Retention> logger) : BackgroundService
{
    /// <summary>The counter of removed rows.</summary>
    public const string RemovedCounter = "removed";

    private const int Chunk = 500;

    private static readonly TimeSpan Every = TimeSpan.FromMinutes(10);

    // What goes first when there is no room: first what tells least, of that the oldest.
    private static readonly string[] ByValue =
    [
        "DELETE FROM coverage WHERE coverage_key IN (SELECT coverage_key FROM coverage ORDER BY coverage_key LIMIT $n)",
        "DELETE FROM builds WHERE build_key IN (SELECT build_key FROM builds b WHERE verdict = 1 AND NOT EXISTS (SELECT 1 FROM findings f WHERE f.build_id = b.build_id) ORDER BY start_time LIMIT $n)",
        "DELETE FROM activities WHERE activity_key IN (SELECT activity_key FROM activities a WHERE EXISTS (SELECT 1 FROM findings f WHERE f.uid = a.uid AND f.host_key = a.host_key AND f.sequence <> a.sequence) ORDER BY time LIMIT $n)",
        "DELETE FROM findings WHERE finding_key IN (SELECT finding_key FROM findings WHERE severity <= 2 ORDER BY time LIMIT $n)",
        "DELETE FROM builds WHERE build_key IN (SELECT build_key FROM builds ORDER BY start_time LIMIT $n)",
        "DELETE FROM findings WHERE finding_key IN (SELECT finding_key FROM findings ORDER BY time LIMIT $n)",
        "DELETE FROM unknown_records WHERE rowid IN (SELECT rowid FROM unknown_records ORDER BY rowid LIMIT $n)",
    ];

    private static readonly string[] ByAge =
    [
        "DELETE FROM builds WHERE build_key IN (SELECT build_key FROM builds WHERE start_time < $before LIMIT $n)",
        "DELETE FROM findings WHERE finding_key IN (SELECT finding_key FROM findings WHERE time < $before LIMIT $n)",
        "DELETE FROM coverage WHERE coverage_key IN (SELECT coverage_key FROM coverage WHERE time < $before LIMIT $n)",
        "DELETE FROM unknown_records WHERE rowid IN (SELECT rowid FROM unknown_records WHERE time < $before LIMIT $n)",
        "DELETE FROM hosts WHERE host_key IN (SELECT host_key FROM hosts h WHERE last_seen < $before AND NOT EXISTS (SELECT 1 FROM builds b WHERE b.host_key = h.host_key) AND NOT EXISTS (SELECT 1 FROM findings f WHERE f.host_key = h.host_key) LIMIT $n)",
        "DELETE FROM spools WHERE spool_key IN (SELECT spool_key FROM spools s WHERE NOT EXISTS (SELECT 1 FROM hosts h WHERE h.host_key = s.host_key) LIMIT $n)",
    ];

    /// <summary>One round; answers how many rows were removed.</summary>
    public async Task<long> RunOnceAsync(CancellationToken stop)
    {
        long removed = 0;
        if (options.KeepDays > 0)
        {
            long before = time.GetUtcNow().AddDays(-options.KeepDays).ToUnixTimeMilliseconds();
            foreach (string sql in ByAge)
            {
                removed += await RemoveWhileAsync(sql, before, static () => true, stop).ConfigureAwait(false);
            }
        }

        if (reader.SizeInUse() > options.MaxStoreBytes)
        {
            // A tenth of the room, so that this does not begin again at once.
            long target = options.MaxStoreBytes / 10 * 9;
            foreach (string sql in ByValue)
            {
                removed += await RemoveWhileAsync(sql, 0, () => reader.SizeInUse() > target, stop).ConfigureAwait(false);
            }
        }

        // States of findings that are gone, by age or by size.
        removed += await RemoveWhileAsync(
            "DELETE FROM activities WHERE activity_key IN (SELECT activity_key FROM activities a WHERE NOT EXISTS (SELECT 1 FROM findings f WHERE f.uid = a.uid AND f.host_key = a.host_key) LIMIT $n)",
            0, static () => true, stop).ConfigureAwait(false);
        if (removed > 0)
        {
            await store.WriteAsync(
                connection =>
                {
                    Execute(connection, $"INSERT INTO counters VALUES('{RemovedCounter}', $n) ON CONFLICT(name) DO UPDATE SET value = value + $n", 0, removed);
                    Execute(connection, "PRAGMA incremental_vacuum", 0, 0);
                    return true;
                },
                stop).ConfigureAwait(false);
            Removed(logger, removed);
        }

        return removed;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await RunOnceAsync(stoppingToken).ConfigureAwait(false);
            }
            catch (SqliteException error)
            {
                Failed(logger, StartupException.OneLine(error.Message));
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }

            await Task.Delay(Every, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task<long> RemoveWhileAsync(string sql, long before, Func<bool> needed, CancellationToken stop)
    {
        long removed = 0;
        while (needed())
        {
            int rows = await store.WriteAsync(connection => Execute(connection, sql, before, Chunk), stop).ConfigureAwait(false);
            removed += rows;
            if (rows == 0)
            {
                break;
            }
        }

        return removed;
    }

    private static int Execute(SqliteConnection connection, string sql, long before, long count)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.Parameters.AddWithValue("$before", before);
        command.Parameters.AddWithValue("$n", count);
        return command.ExecuteNonQuery();
    }

    [LoggerMessage(EventIds.RetentionRemoved, LogLevel.Information, "Retention removed {Count} records")]
    private static partial void Removed(ILogger logger, long count);

    [LoggerMessage(EventIds.RetentionFailed, LogLevel.Error, "Retention could not remove anything: {Reason}")]
    private static partial void Failed(ILogger logger, string reason);
}
