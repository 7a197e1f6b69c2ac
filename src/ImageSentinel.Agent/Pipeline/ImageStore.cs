using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Serialization;
using ImageSentinel.Agent.Uplink;
using ImageSentinel.Detection.Images;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>The image graph on disk: the stories of builds that were not clean, and the images and layers they went into.</summary>
/// <remarks>
/// Owns the database and one writing thread. The core queues and never waits; what does not fit the queue is counted and
/// told, and is kept in memory all the same. A crash loses at most the last moment.
/// </remarks>
internal sealed partial class ImageStore : IImageStore, IDisposable
{
    private const int MaximumWaiting = 100_000;

    private readonly SqliteConnection _connection;
    private readonly BlockingCollection<Change> _changes = new(MaximumWaiting);
    private readonly Thread _thread;
    private readonly ILogger _logger;
    private bool _failing;

    public ImageStore(string directory, ILogger logger)
    {
        _logger = logger;
        _connection = StateDatabase.Open(Path.Combine(directory, "images.db"), Prepare, logger, DateTimeOffset.UtcNow);
        _thread = new Thread(WriteChanges) { IsBackground = true, Name = "is-images" };
    }

    /// <summary>Reads everything back; from then on the graph tells this store what changes.</summary>
    public ImageGraph Load()
    {
        var graph = new ImageGraph();
        using (SqliteCommand command = Command("SELECT json FROM story"))
        using (SqliteDataReader rows = command.ExecuteReader())
        {
            while (rows.Read())
            {
                if (StoryOf(rows.GetString(0)) is { } story)
                {
                    graph.Restore(story);
                }
            }
        }

        using (SqliteCommand command = Command("SELECT kind, key, build, time FROM link LEFT JOIN gone ON kind = 1 AND key = image"))
        using (SqliteDataReader rows = command.ExecuteReader())
        {
            while (rows.Read())
            {
                DateTimeOffset? gone = rows.IsDBNull(3) ? null : DateTimeOffset.FromUnixTimeSeconds(rows.GetInt64(3));
                graph.Restore((ImageLinkKind)rows.GetInt32(0), rows.GetString(1), rows.GetString(2), gone);
            }
        }

        graph.Store = this;
        _thread.Start();
        return graph;
    }

    public void Keep(BuildStory story)
        => Queue("INSERT OR REPLACE INTO story VALUES ($a, $b)", story.BuildId, JsonSerializer.Serialize(story, StoryJson.Default.BuildStory));

    public void Keep(ImageLinkKind kind, string key, string buildId) => Queue("INSERT OR IGNORE INTO link VALUES ($c, $a, $b)", key, buildId, (int)kind);

    public void Gone(string imageId, DateTimeOffset? at)
    {
        if (at is { } since)
        {
            Queue("INSERT OR REPLACE INTO gone VALUES ($a, $c)", imageId, "", since.ToUnixTimeSeconds());
        }
        else
        {
            Queue("DELETE FROM gone WHERE image = $a", imageId);
        }
    }

    public void Forget(string imageId)
    {
        Queue("DELETE FROM link WHERE kind = 1 AND key = $a", imageId);
        Queue("DELETE FROM gone WHERE image = $a", imageId);
    }

    public void ForgetStory(string buildId)
    {
        Queue("DELETE FROM link WHERE build = $a", buildId);
        Queue("DELETE FROM story WHERE build = $a", buildId);
    }

    public void Dispose()
    {
        _changes.CompleteAdding();
        if (_thread.ThreadState != ThreadState.Unstarted)
        {
            _thread.Join();
        }

        _changes.Dispose();
        _connection.Dispose();
    }

    private static BuildStory? StoryOf(string json)
    {
        try
        {
            return JsonSerializer.Deserialize(json, StoryJson.Default.BuildStory);
        }
        catch (JsonException)
        {
            // Written by a newer agent, or damaged: the others still count.
            return null;
        }
    }

    private void Queue(string sql, string a, string b = "", long c = 0)
    {
        if (!_changes.IsAddingCompleted && !_changes.TryAdd(new Change(sql, a, b, c)))
        {
            Failed("changes come faster than the disk takes them");
        }
    }

    private void WriteChanges()
    {
        foreach (Change first in _changes.GetConsumingEnumerable())
        {
            try
            {
                using SqliteTransaction transaction = _connection.BeginTransaction();
                Write(first, transaction);
                while (_changes.TryTake(out Change? next))
                {
                    Write(next, transaction);
                }

                transaction.Commit();
                Recovered();
            }
            catch (SqliteException e)
            {
                Failed(e.Message);
            }
        }
    }

    private void Write(Change change, SqliteTransaction transaction)
    {
        using SqliteCommand command = Command(change.Sql);
        command.Transaction = transaction;
        _ = command.Parameters.AddWithValue("$a", change.A);
        _ = command.Parameters.AddWithValue("$b", change.B);
        _ = command.Parameters.AddWithValue("$c", change.C);
        _ = command.ExecuteNonQuery();
    }

    private void Failed(string problem)
    {
        if (!_failing)
        {
            _failing = true;
            NotWritten(problem);
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

    private static void Prepare(SqliteConnection connection) => SpoolDatabase.Execute(connection, """
        CREATE TABLE IF NOT EXISTS story (build TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS link (kind INTEGER NOT NULL, key TEXT NOT NULL, build TEXT NOT NULL, PRIMARY KEY (kind, key, build)) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS gone (image TEXT PRIMARY KEY, time INTEGER NOT NULL) WITHOUT ROWID;
        """);

    private SqliteCommand Command(string sql)
    {
        SqliteCommand command = _connection.CreateCommand();
        // Every statement is a constant of this file; values are parameters.
#pragma warning disable CA2100
        command.CommandText = sql;
#pragma warning restore CA2100
        return command;
    }

    [LoggerMessage(3111, LogLevel.Error, "the image graph cannot be written and is kept in memory only: {Problem}")]
    private partial void NotWritten(string problem);

    [LoggerMessage(3112, LogLevel.Information, "the image graph is written again")]
    private partial void WrittenAgain();

    private sealed record Change(string Sql, string A, string B, long C);
}

[JsonSourceGenerationOptions(RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(BuildStory))]
internal sealed partial class StoryJson : JsonSerializerContext;
