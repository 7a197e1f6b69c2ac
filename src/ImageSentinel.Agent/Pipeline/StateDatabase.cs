using ImageSentinel.Agent.Uplink;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>Opens a database of the state directory in a way that never keeps the agent from watching.</summary>
/// <remarks>A damaged file is moved aside and a new one begun; where the disk takes none (full, read-only), the database
/// lives in memory, with what could be read of the file. Each is said in one line that names the file.</remarks>
internal static partial class StateDatabase
{
    /// <param name="path">The file; made when absent.</param>
    /// <param name="prepare">Makes the tables that are missing.</param>
    /// <param name="logger">Is told what was not as it should be.</param>
    /// <param name="now">For the name of a file that is moved aside.</param>
    public static SqliteConnection Open(string path, Action<SqliteConnection> prepare, ILogger logger, DateTimeOffset now)
    {
        try
        {
            return OpenFile(path, prepare);
        }
        catch (SqliteException damage) when (SpoolDatabase.IsDamage(damage))
        {
            try
            {
                string aside = SpoolDatabase.MoveAside(path, now);
                SqliteConnection fresh = OpenFile(path, prepare);
                Damaged(logger, path, aside, damage.Message);
                return fresh;
            }
            catch (Exception error) when (error is SqliteException or IOException or UnauthorizedAccessException)
            {
                return OpenInMemory(path, prepare, logger, error);
            }
        }
        catch (SqliteException error)
        {
            return OpenInMemory(path, prepare, logger, error);
        }
    }

    private static SqliteConnection OpenFile(string path, Action<SqliteConnection> prepare)
    {
        SqliteConnection connection = Connect(path, SqliteOpenMode.ReadWriteCreate);
        try
        {
            connection.Open();
            SpoolDatabase.Execute(connection, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
            SpoolDatabase.ThrowWhenDamaged(connection);
            prepare(connection);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private static SqliteConnection OpenInMemory(string path, Action<SqliteConnection> prepare, ILogger logger, Exception why)
    {
        InMemory(logger, path, SpoolDatabase.OneLine(why));
        SqliteConnection connection = Connect(":memory:", SqliteOpenMode.Memory);
        connection.Open();
        try
        {
            using SqliteConnection file = Connect(path, SqliteOpenMode.ReadOnly);
            file.Open();
            SpoolDatabase.ThrowWhenDamaged(file);
            file.BackupDatabase(connection);
        }
        catch (SqliteException)
        {
            // Nothing there, or nothing that can be read: begin empty.
        }

        prepare(connection);
        return connection;
    }

    private static SqliteConnection Connect(string path, SqliteOpenMode mode)
        => new(new SqliteConnectionStringBuilder { DataSource = path, Mode = mode, Pooling = false }.ToString());

    [LoggerMessage(3151, LogLevel.Warning, "{Path} was damaged and moved to {Aside}; a new one is begun: {Reason}")]
    private static partial void Damaged(ILogger logger, string path, string aside, string reason);

    [LoggerMessage(3152, LogLevel.Warning, "{Path} cannot be written and is kept in memory until the agent stops: {Reason}")]
    private static partial void InMemory(ILogger logger, string path, string reason);
}
