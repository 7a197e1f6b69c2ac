using System.Globalization;
using System.Security.Cryptography;
using ImageSentinel.V1;
using Microsoft.Data.Sqlite;

namespace ImageSentinel.Agent.Uplink;

/// <summary>Opens, makes and replaces <c>spool.db</c>. Owns no connection after handing it out.</summary>
/// <remarks>
/// WAL with synchronous=FULL: what the caller was told is durable has been through fsync. A write that was torn by a
/// crash fails its checksum in the log and is forgotten as a whole, so what comes back is a whole number of appends.
/// locking_mode=EXCLUSIVE keeps a second agent out, and the kernel drops that lock with the process.
/// </remarks>
internal static class SpoolDatabase
{
    public const int Version = 1;

    private const int SQLITE_BUSY = 5;
    private const int SQLITE_READONLY = 8;
    private const int SQLITE_CORRUPT = 11;
    private const int SQLITE_CANTOPEN = 14;
    private const int SQLITE_NOTADB = 26;

    private const string Tables = """
        CREATE TABLE records(
          sequence INTEGER PRIMARY KEY AUTOINCREMENT,
          kind INTEGER NOT NULL,
          id TEXT NOT NULL,
          rank INTEGER NOT NULL,
          size INTEGER NOT NULL,
          record BLOB NOT NULL);
        CREATE INDEX records_by_rank ON records(rank, sequence);
        CREATE TABLE history(
          kind INTEGER NOT NULL,
          id TEXT NOT NULL,
          updated INTEGER NOT NULL,
          rank INTEGER NOT NULL,
          size INTEGER NOT NULL,
          record BLOB NOT NULL,
          PRIMARY KEY(kind, id));
        CREATE INDEX history_by_update ON history(kind, updated);
        CREATE TABLE facts(name TEXT PRIMARY KEY, value NOT NULL);
        """;

    public static string PathIn(string directory) => Path.Combine(directory, "spool.db");

    public static bool IsDamage(SqliteException error) => error.SqliteErrorCode is SQLITE_CORRUPT or SQLITE_NOTADB;

    /// <exception cref="SqliteException">The disk does not take it now, or the file is damaged (<see cref="IsDamage"/>).</exception>
    /// <exception cref="SpoolException">It will not work later either.</exception>
    public static SqliteConnection Open(string path, int maximumPages)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Mode = SqliteOpenMode.ReadWriteCreate,
            Pooling = false,
            DefaultTimeout = 2,
        }.ToString());
        try
        {
            connection.Open();
            Execute(connection, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=16777216; PRAGMA temp_store=MEMORY;");
            if (maximumPages > 0)
            {
                Execute(connection, string.Create(CultureInfo.InvariantCulture, $"PRAGMA max_page_count={maximumPages}"));
            }

            ThrowWhenDamaged(connection);

            long version = (long)Scalar(connection, "PRAGMA user_version")!;
            if (version > Version)
            {
                throw new SpoolException($"{path} was written by a newer version (schema {version}, this one knows {Version}); update, or move the file away", permission: false);
            }

            if (version == 0)
            {
                Execute(connection, $"BEGIN IMMEDIATE; {Tables} INSERT INTO facts VALUES('spool_id', '{NewId()}'); PRAGMA user_version={Version}; COMMIT;");
            }

            return connection;
        }
        catch (SqliteException error) when (error.SqliteErrorCode is SQLITE_BUSY)
        {
            connection.Dispose();
            throw new SpoolException($"{path} is in use by another agent", permission: false, error);
        }
        catch (SqliteException error) when (error.SqliteErrorCode is SQLITE_READONLY or SQLITE_CANTOPEN && !IsWritable(path))
        {
            connection.Dispose();
            throw new SpoolException($"{path}: permission denied", permission: true, error);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <exception cref="SqliteException">The file is damaged (<see cref="IsDamage"/>).</exception>
    public static void ThrowWhenDamaged(SqliteConnection connection)
    {
        if (Scalar(connection, "PRAGMA quick_check(1)") is not "ok" and var complaint)
        {
            throw new SqliteException($"quick_check: {complaint}", SQLITE_CORRUPT);
        }
    }

    public static string OneLine(Exception error) => error switch
    {
        SqliteException { SqliteErrorCode: 13 } => "no space left on the device",
        SqliteException { SqliteErrorCode: 10 } => $"input/output error ({error.Message.ReplaceLineEndings(" ")})",
        _ => error.Message.ReplaceLineEndings(" "),
    };

    /// <summary>Moves a damaged file out of the way and answers where to; nothing of it is deleted.</summary>
    public static string MoveAside(string path, DateTimeOffset now)
    {
        string aside = string.Create(CultureInfo.InvariantCulture, $"{path}.damaged-{now.UtcDateTime:yyyyMMdd'T'HHmmss'Z'}");
        foreach (string part in (string[])["", "-wal", "-shm"])
        {
            if (File.Exists(path + part))
            {
                File.Move(path + part, aside + part, overwrite: true);
            }
        }

        return aside;
    }

    /// <summary>Reads what can still be read of a damaged file, in order; stops where it cannot.</summary>
    public static List<OutputRecord> Salvage(string path)
    {
        var found = new List<OutputRecord>();
        try
        {
            using var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Mode = SqliteOpenMode.ReadOnly, Pooling = false }.ToString());
            connection.Open();
            using SqliteCommand command = connection.CreateCommand();
            command.CommandText = "SELECT record FROM records ORDER BY sequence";
            using SqliteDataReader rows = command.ExecuteReader();
            while (rows.Read())
            {
                found.Add(OutputRecord.Parser.ParseFrom(rows.GetFieldValue<byte[]>(0)));
            }
        }
        catch (Exception error) when (error is SqliteException or Google.Protobuf.InvalidProtocolBufferException or InvalidCastException)
        {
            // What was read before this row is all there is to have.
        }

        return found;
    }

    public static string NewId() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));

    public static void Execute(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    public static object? Scalar(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar();
    }

    private static bool IsWritable(string path)
    {
        try
        {
            using FileStream probe = File.Open(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite);
            return true;
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
        catch (IOException)
        {
            return true; // full or broken, which is another matter
        }
    }
}
