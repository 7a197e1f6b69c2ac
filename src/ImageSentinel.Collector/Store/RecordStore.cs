using System.Collections.Concurrent;
using Google.Protobuf;
using ImageSentinel.Collector.Hosting;
using ImageSentinel.V1;
using Microsoft.Data.Sqlite;

namespace ImageSentinel.Collector.Store;

/// <summary>Writes what agents send: one transaction per batch, every row keyed by (spool, sequence).</summary>
/// <remarks>
/// Writing a batch twice changes nothing, and an older record never replaces a newer one, so a batch may come again
/// after a broken stream, or late. One writer at a time; readers have their own connections and never wait for it.
/// </remarks>
internal sealed partial class RecordStore(StoreDatabase database, TimeProvider time, ILogger<RecordStore> logger) : IDisposable
{
    private const int MaximumIdLength = 256;

    // Enough to share an fsync, few enough to keep a transaction short.
    private const int MaximumGroup = 256;

    // So that nobody fills the store by saying hello under ever new names.
    private const long MaximumHosts = 50_000;

    private readonly ConcurrentQueue<PendingWrite> _pending = new();
    private readonly SemaphoreSlim _turn = new(1, 1);
    private WriteCommands? _commands;
    private volatile string? _failure;
    private int _conflictTold;

    /// <summary>Why nothing can be stored at present; null while all is well.</summary>
    public string? Failure => _failure;

    /// <summary>Registers the host and the spool, and tells how far this spool has been stored.</summary>
    /// <exception cref="IdentityException">Another certificate already speaks for this host.</exception>
    /// <exception cref="SqliteException">The store is failing; see <see cref="Failure"/>.</exception>
    public Task<SpoolIdentity> GreetAsync(AgentHello hello, string? certificate, CancellationToken stop)
        => WriteAsync(commands => Greet(commands, hello, certificate), stop);

    /// <summary>Stores a batch durably and answers with the records that changed something.</summary>
    /// <exception cref="SqliteException">Nothing of the batch was stored.</exception>
    public Task<List<StoredRecord>> StoreAsync(SpoolIdentity spool, RecordBatch batch, CancellationToken stop)
        => WriteAsync(commands => Store(commands, spool, batch), stop);

    /// <summary>Notes that the agent lives, and what it says of itself.</summary>
    public Task<bool> NoteHeartbeatAsync(SpoolIdentity spool, Heartbeat heartbeat, CancellationToken stop)
        => WriteAsync(
            commands =>
            {
                long now = Now();
                commands.TouchHost.Run(spool.HostKey, now);
                commands.SetGivenUp.Run(spool.SpoolKey, (long)heartbeat.SpoolDropped);
                if (heartbeat.Coverage is { } coverage)
                {
                    commands.SetCoverage.Run(spool.HostKey, UnixMilliseconds.Of(coverage.Time, now), coverage.ToByteArray());
                }

                return true;
            },
            stop);

    /// <summary>Any other change, as retention makes it, under the same rules.</summary>
    public Task<T> WriteAsync<T>(Func<SqliteConnection, T> write, CancellationToken stop)
        => WriteAsync((WriteCommands commands) => write(commands.Connection), stop);

    public void Dispose()
    {
        _commands?.Dispose();
        _turn.Dispose();
    }

    // Whoever has the turn writes what all who wait for it have brought, in one transaction: a thousand agents that
    // say "I live" cost one fsync, not a thousand. Each answer comes after the commit.
    private async Task<T> WriteAsync<T>(Func<WriteCommands, T> write, CancellationToken stop)
    {
        var mine = new PendingWrite<T>(write);
        _pending.Enqueue(mine);
        await _turn.WaitAsync(stop).ConfigureAwait(false);
        try
        {
            if (!mine.Answer.IsCompleted)
            {
                WriteGroup();
            }
        }
        finally
        {
            _turn.Release();
        }

        return await mine.Answer.ConfigureAwait(false);
    }

    private void WriteGroup()
    {
        var group = new List<PendingWrite>();
        while (group.Count < MaximumGroup && _pending.TryDequeue(out PendingWrite? next))
        {
            group.Add(next);
        }

        try
        {
            if (_failure is not null)
            {
                _commands?.Dispose();
                _commands = null;
                database.ReopenWriter();
            }

            _commands ??= new WriteCommands(database.Writer);
            using SqliteTransaction transaction = _commands.Connection.BeginTransaction();
            _commands.Use(transaction);
            foreach (PendingWrite each in group)
            {
                each.Run(_commands, transaction);
            }

            transaction.Commit();
        }
        catch (Exception error)
        {
            group.ForEach(each => each.Fail(error));
            if (error is not SqliteException)
            {
                throw;
            }

            string reason = StartupException.OneLine(error.Message);
            if (_failure is null)
            {
                Failing(logger, reason);
            }

            _failure = reason;
            return;
        }

        if (_failure is not null)
        {
            _failure = null;
            Recovered(logger);
        }

        group.ForEach(each => each.Succeed());
    }

    private SpoolIdentity Greet(WriteCommands commands, AgentHello hello, string? certificate)
    {
        long now = Now();
        bool isKnown = commands.FindHost.ReadRow(static reader => reader.GetInt64(0), hello.Host.HostId) is not null;
        if (!isKnown && commands.CountHosts.ReadRow(static reader => reader.GetInt64(0)) >= MaximumHosts)
        {
            throw new IdentityException($"this collector holds {MaximumHosts} hosts already");
        }

        if (commands.FindHost.ReadRow(reader => (Key: reader.GetInt64(0), Certificate: reader.IsDBNull(1) ? null : reader.GetString(1)), hello.Host.HostId)
            is { } known && known.Certificate is not null && certificate is not null && known.Certificate != certificate)
        {
            throw new IdentityException($"host id {hello.Host.HostId} belongs to the certificate {known.Certificate}, not to {certificate}");
        }

        commands.UpsertHost.Run(hello.Host.HostId, hello.Host.Hostname, (object?)certificate ?? DBNull.Value, now, hello.Host.ToByteArray());
        long hostKey = commands.FindHost.ReadRow(reader => (reader.GetInt64(0), 0), hello.Host.HostId)!.Value.Item1;
        commands.AddSpool.Run(hostKey, hello.SpoolId);
        (long spoolKey, long acked) = commands.FindSpool.ReadRow(reader => (reader.GetInt64(0), reader.GetInt64(1)), hostKey, hello.SpoolId)!.Value;
        return new SpoolIdentity(hostKey, spoolKey, (ulong)acked, hello.Host, hello.SpoolId);
    }

    private List<StoredRecord> Store(WriteCommands commands, SpoolIdentity spool, RecordBatch batch)
    {
        long now = Now();
        long highest = 0;
        var changed = new List<StoredRecord>(batch.Records.Count);
        foreach (SpooledRecord spooled in batch.Records)
        {
            long sequence = (long)spooled.Sequence;
            highest = Math.Max(highest, sequence);
            OutputRecord record = spooled.Record ?? new OutputRecord();
            bool shows = record switch
            {
                _ when !IsPresentable(record) => StoreUnknown(commands, spool, sequence, record, now),
                { Build.Id.Length: > 0 and <= MaximumIdLength } => StoreBuild(commands, spool, sequence, record.Build, now),
                { Finding.Uid.Length: > 0 and <= MaximumIdLength } => StoreFinding(commands, spool, sequence, record.Finding, now),
                { Coverage: not null } => StoreCoverage(commands, spool, sequence, record.Coverage, now),
                _ => StoreUnknown(commands, spool, sequence, record, now),
            };
            if (shows)
            {
                changed.Add(new StoredRecord(spool.Host.HostId, record));
            }
        }

        commands.TouchHost.Run(spool.HostKey, now);
        commands.SetAcked.Run(spool.SpoolKey, highest);
        return changed;
    }

    // A time that no calendar has would make every answer fail that contains the record; JSON has no word for it.
    private static bool IsPresentable(OutputRecord record)
    {
        try
        {
            JsonFormatter.Default.Format(record, TextWriter.Null);
            return true;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    private bool StoreBuild(WriteCommands commands, SpoolIdentity spool, long sequence, Build build, long now)
    {
        // Whose build this is, the stream says: it is the stream that showed a certificate.
        build.Host = spool.Host;
        bool taken = commands.UpsertBuild.Run(
            spool.HostKey, build.Id, spool.SpoolKey, sequence, UnixMilliseconds.Of(build.StartTime, now),
            (int)build.State, (int)build.Verdict, build.ToByteArray()) > 0;
        if (!taken)
        {
            _ = IsConflict(commands, commands.FindBuildSpool, spool, build.Id);
        }

        return taken;
    }

    private bool StoreFinding(WriteCommands commands, SpoolIdentity spool, long sequence, Finding finding, long now)
    {
        finding.Host = spool.Host;
        byte[] bytes = finding.ToByteArray();
        long made = UnixMilliseconds.Of(finding.Time, now);
        bool taken = commands.UpsertFinding.Run(
            spool.HostKey, finding.Uid, finding.BuildId, spool.SpoolKey, sequence, made, (int)finding.Severity, bytes, (int)finding.Activity) > 0;

        // An older word of the same spool, come late, is history all the same; a stranger's is not.
        return (taken || !IsConflict(commands, commands.FindFindingSpool, spool, finding.Uid))
            && commands.AddActivity.Run(spool.HostKey, finding.Uid, spool.SpoolKey, sequence, made, bytes) > 0;
    }

    // The row is another spool's and stays as it is.
    private bool IsConflict(WriteCommands commands, WriteCommands.Statement owner, SpoolIdentity spool, string id)
    {
        if (owner.ReadRow(static reader => reader.GetInt64(0), spool.HostKey, id) is not { } key || key == spool.SpoolKey)
        {
            return false;
        }

        commands.CountConflict.Run();
        if (Interlocked.Exchange(ref _conflictTold, 1) == 0)
        {
            Conflict(logger, Visible.Of(id), spool.Host.HostId, spool.SpoolId);
        }

        return true;
    }

    private static bool StoreCoverage(WriteCommands commands, SpoolIdentity spool, long sequence, Coverage coverage, long now)
    {
        byte[] bytes = coverage.ToByteArray();
        long made = UnixMilliseconds.Of(coverage.Time, now);
        bool isNew = commands.AddCoverage.Run(spool.HostKey, spool.SpoolKey, sequence, made, bytes) > 0;
        if (isNew)
        {
            commands.SetCoverage.Run(spool.HostKey, made, bytes);
            commands.TrimCoverage.Run(spool.HostKey);
        }

        return isNew;
    }

    // A newer agent's kind of record, or one without its id: kept as it came, because refusing it would stop the agent
    // for good, and dropping it would lose it in silence. The host's page counts these.
    private static bool StoreUnknown(WriteCommands commands, SpoolIdentity spool, long sequence, OutputRecord record, long now)
    {
        commands.AddUnknown.Run(spool.SpoolKey, sequence, now, record.ToByteArray());
        return false;
    }

    private long Now() => time.GetUtcNow().ToUnixTimeMilliseconds();

    [LoggerMessage(EventIds.StoreFailing, LogLevel.Error, "Nothing can be stored; agents keep their records and try again: {Reason}")]
    private static partial void Failing(ILogger logger, string reason);

    [LoggerMessage(EventIds.RecordConflict, LogLevel.Warning, "Refused: {Id} of host {HostId} is known, and the spool {SpoolId} would say less of it than the one it came from; what is known stays. Further ones are counted, not told")]
    private static partial void Conflict(ILogger logger, string id, string hostId, string spoolId);

    [LoggerMessage(EventIds.StoreRecovered, LogLevel.Information, "Storing works again")]
    private static partial void Recovered(ILogger logger);
}
