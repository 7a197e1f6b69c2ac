using System.Globalization;
using ImageSentinel.Collector.Hosting;
using Microsoft.Data.Sqlite;

namespace ImageSentinel.Collector.Store;

/// <summary>Owns the state directory: the lock that makes us its only collector, and the connections to its database.</summary>
/// <remarks>
/// WAL with synchronous=FULL: an acknowledgement lets an agent forget, so what it covers must survive a power cut, and
/// with a batch per transaction the extra fsync hardly shows. The lock is flock(2), so the kernel drops it with us.
/// </remarks>
internal sealed partial class StoreDatabase : IDisposable
{
    private const int SQLITE_CORRUPT = 11;
    private const int SQLITE_FULL = 13;
    private const int SQLITE_NOTADB = 26;

    private readonly FileStream _lock;
    private readonly string _readString;

    private StoreDatabase(FileStream @lock, SqliteConnection writer, string path)
    {
        _lock = @lock;
        Writer = writer;
        Path = path;
        _readString = new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Mode = SqliteOpenMode.ReadWrite, // A read-only connection could not rebuild a lost shared-memory index.
            DefaultTimeout = 10,
        }.ToString();
    }

    public string Path { get; }

    /// <summary>The one connection that writes; whoever uses it holds <see cref="RecordStore"/>'s turn.</summary>
    public SqliteConnection Writer { get; private set; }

    /// <exception cref="StartupException">The directory is not ours, is full, or another collector has it.</exception>
    public static StoreDatabase Open(string directory, ILogger logger, TimeProvider time)
    {
        string path = System.IO.Path.Combine(directory, "collector.db");
        FileStream? turn = null;
        try
        {
            MakePrivate(directory, logger);
            turn = TakeLock(directory);
            return new StoreDatabase(turn, OpenWriterOrMoveAside(path, logger, time), path);
        }
        catch (StartupException)
        {
            turn?.Dispose();
            throw;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or SqliteException)
        {
            turn?.Dispose();
            throw Explain(directory, error);
        }
    }

    public SqliteConnection OpenReader()
    {
        var connection = new SqliteConnection(_readString);
        connection.Open();
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = "PRAGMA query_only=1";
        command.ExecuteNonQuery();
        return connection;
    }

    /// <summary>After an I/O error a connection may hold pages that never reached the disk; begin again with a new one.</summary>
    public void ReopenWriter()
    {
        Writer.Dispose();
        Writer = OpenWriter(Path);
    }

    public void Dispose()
    {
        Writer.Dispose();
        using (var pooled = new SqliteConnection(_readString))
        {
            SqliteConnection.ClearPool(pooled);
        }

        _lock.Dispose();
    }

    private static void MakePrivate(string directory, ILogger logger)
    {
        if (OperatingSystem.IsWindows())
        {
            throw new PlatformNotSupportedException("the collector runs on Linux");
        }

        if (File.Exists(directory))
        {
            throw new StartupException(ExitCodes.Configuration, $"--state {directory} is a file; name a directory");
        }

        const UnixFileMode ours = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        Directory.CreateDirectory(directory, ours);
        if ((File.GetUnixFileMode(directory) & ~ours) == 0)
        {
            return;
        }

        try
        {
            // One that holds something else is somebody else's as well; our files are private in any case.
            string[] files = [.. Directory.EnumerateFileSystemEntries(directory)];
            string[] own = [.. files.Where(static file => System.IO.Path.GetFileName(file).StartsWith("collector.", StringComparison.Ordinal) && File.Exists(file))];
            bool changed = false;
            foreach (string file in own)
            {
                UnixFileMode mode = File.GetUnixFileMode(file);
                changed |= (mode & ~ours) != 0;
                File.SetUnixFileMode(file, mode & ours);
            }

            if (own.Length == files.Length)
            {
                File.SetUnixFileMode(directory, ours);
                MadePrivate(logger, directory, "it is now 0700");
            }
            else if (changed)
            {
                MadePrivate(logger, directory, "and holds more than the collector's files: only those were made private");
            }
        }
        catch (UnauthorizedAccessException)
        {
            MadePrivate(logger, directory, "and is not ours to change");
        }
    }

    private static FileStream OpenPrivate(string path, FileShare share)
    {
        var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = share };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        return new FileStream(path, options);
    }

    private static FileStream TakeLock(string directory)
    {
        string path = System.IO.Path.Combine(directory, "collector.lock");
        try
        {
            return OpenPrivate(path, FileShare.None);
        }
        catch (IOException error) when (error.GetType() == typeof(IOException) && File.Exists(path) && !IsFull(error))
        {
            throw new StartupException(ExitCodes.Unavailable, $"--state {directory} is in use by another collector", error);
        }
    }

    private static SqliteConnection OpenWriterOrMoveAside(string path, ILogger logger, TimeProvider time)
    {
        try
        {
            return OpenWriter(path);
        }
        catch (SqliteException error) when (error.SqliteErrorCode is SQLITE_CORRUPT or SQLITE_NOTADB)
        {
            string suffix = string.Create(CultureInfo.InvariantCulture, $".damaged-{time.GetUtcNow():yyyyMMdd'T'HHmmss'Z'}");
            foreach (string part in (string[])["", "-wal", "-shm"])
            {
                if (File.Exists(path + part))
                {
                    File.Move(path + part, path + suffix + part, overwrite: true);
                }
            }

            Damaged(logger, path, path + suffix, StartupException.OneLine(error.Message));
            return OpenWriter(path);
        }
    }

    private static SqliteConnection OpenWriter(string path)
    {
        // SQLite would make it readable by all; its log and index files take over what the database has.
        OpenPrivate(path, FileShare.ReadWrite).Dispose();
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Mode = SqliteOpenMode.ReadWriteCreate,
            Pooling = false,
            DefaultTimeout = 10,
        }.ToString());
        try
        {
            connection.Open();
            Execute(connection, "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=33554432;");
            long version = (long)Scalar(connection, "PRAGMA user_version")!;
            if (version > Schema.Version)
            {
                throw new StartupException(ExitCodes.Configuration, $"{path} was written by a newer version of imagesentinel-collector (schema {version}, this one knows {Schema.Version})");
            }

            if (Scalar(connection, "PRAGMA quick_check(1)") is not "ok" and var complaint)
            {
                throw new SqliteException($"quick_check: {complaint}", SQLITE_CORRUPT);
            }

            if (version == 0)
            {
                Execute(connection, $"BEGIN IMMEDIATE; {Schema.Create} PRAGMA user_version={Schema.Version}; COMMIT;");
            }

            // Proves before we say "ready" that the directory takes writes.
            Execute(connection, "INSERT INTO counters VALUES('starts', 1) ON CONFLICT(name) DO UPDATE SET value = value + 1");
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private static void Execute(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private static object? Scalar(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar();
    }

    private static bool IsFull(Exception error)
        => error is SqliteException { SqliteErrorCode: SQLITE_FULL } || (error.HResult & 0xffff) is 28 or 122; // ENOSPC, EDQUOT

    private static StartupException Explain(string directory, Exception error) => error switch
    {
        _ when IsFull(error) => new(ExitCodes.Failure, $"--state {directory}: no space left on the device", error),
        UnauthorizedAccessException => new(ExitCodes.NoPermission, $"--state {directory}: permission denied", error),
        FileNotFoundException or DirectoryNotFoundException => new(ExitCodes.Configuration, $"--state {directory}: cannot be made there", error),
        SqliteException { SqliteErrorCode: 8 or 14 } => new(ExitCodes.NoPermission, $"--state {directory}: the database cannot be written: {StartupException.OneLine(error.Message)}", error),
        SqliteException { SqliteErrorCode: 5 or 6 } => new(ExitCodes.Unavailable, $"--state {directory}: the database is locked by another program", error),
        _ => new(ExitCodes.Failure, $"--state {directory}: {StartupException.OneLine(error.Message)}", error),
    };

    [LoggerMessage(EventIds.StoreMadePrivate, LogLevel.Warning, "{Directory} was open to others, {What}")]
    private static partial void MadePrivate(ILogger logger, string directory, string what);

    [LoggerMessage(EventIds.StoreDamaged, LogLevel.Critical, "{Path} is damaged and was moved to {Aside}; what it held is missing here until it is repaired: {Reason}")]
    private static partial void Damaged(ILogger logger, string path, string aside, string reason);
}
