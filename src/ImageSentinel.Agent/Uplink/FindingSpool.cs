using System.Threading.Channels;
using ImageSentinel.V1;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;

namespace ImageSentinel.Agent.Uplink;

/// <summary>Keeps every record on disk until the collector has it, and the latest of them for the commands.</summary>
/// <remarks>
/// An append is on the disk when it returns. When the disk does not take it (full, broken, read-only), records wait
/// in memory, bounded, and are tried again every second; when the file is damaged, it is moved aside, a new one is
/// begun under a new identity, and what could still be read is carried over. Each of these is said once, and counted.
/// Owns the connection and the retry timer.
/// </remarks>
internal sealed partial class FindingSpool : IFindingSpool, IDisposable
{
    private readonly SpoolOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly string _path;
    private readonly Lock _gate = new();
    private readonly List<SpoolEntry> _waiting = [];
    private readonly Channel<bool> _news = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly ITimer _retry;
    private SpoolTable? _table;
    private long _waitingBytes;
    private long _givenUpInMemory;
    private ulong _acknowledge;
    private string _acknowledgeId = "";
    private string? _spoolId;
    private bool _givingUp;
    private string? _problem;
    private string? _damage;
    private bool _disposed;

    /// <exception cref="SpoolException">The file is not ours to use, is in use, or is newer than this program.</exception>
    public FindingSpool(SpoolOptions options, ILogger<FindingSpool> logger, TimeProvider time)
    {
        _options = options;
        _time = time;
        _logger = logger;
        _path = SpoolDatabase.PathIn(options.Directory);
        _retry = time.CreateTimer(_ => Retry(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        try
        {
            lock (_gate)
            {
                Guarded(() => { });
            }
        }
        catch
        {
            _retry.Dispose();
            throw;
        }
    }

    /// <summary>Made with the database; null as long as there never was one because the disk does not take it.</summary>
    public string? SpoolId
    {
        get
        {
            lock (_gate)
            {
                return _spoolId;
            }
        }
    }

    /// <summary>The highest sequence ever given out under <see cref="SpoolId"/>.</summary>
    public ulong LastSequence
    {
        get
        {
            lock (_gate)
            {
                return _table?.LastSequence ?? 0;
            }
        }
    }

    public SpoolStatus Status
    {
        get
        {
            lock (_gate)
            {
                return new SpoolStatus(
                    _table?.Depth ?? 0, _table?.Bytes ?? 0, _waiting.Count,
                    (_table?.GivenUp ?? 0) + (ulong)_givenUpInMemory, _problem, _damage);
            }
        }
    }

    public SpoolReceipt Append(OutputRecord record) => Append([record]);

    public SpoolReceipt Append(IReadOnlyList<OutputRecord> records)
    {
        // Serialized before the lock: the uplink must not wait for it.
        SpoolEntry[] entries = [.. records.Select(SpoolEntry.Of)];
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            foreach (SpoolEntry entry in entries)
            {
                _waiting.Add(entry);
                _waitingBytes += entry.Size;
            }

            // In the middle of a failure the timer tries, so that a broken disk does not slow every append down.
            bool durable = _problem is null && Guarded(Flush);
            if (!durable)
            {
                BoundMemory();
            }

            return new SpoolReceipt(durable, durable ? _table!.LastSequence : 0);
        }
    }

    /// <summary>The next records to send: up to a count and a size, at least one if there is one. Null when this is no
    /// longer the spool of that identity: its sequences mean nothing here.</summary>
    public List<SpooledBytes>? ReadAfter(string spoolId, ulong sequence, int maximumCount, long maximumBytes)
    {
        lock (_gate)
        {
            List<SpooledBytes> records = [];
            Guarded(() => records = _table!.ReadAfter(sequence, maximumCount, maximumBytes));
            return _spoolId == spoolId ? records : null;
        }
    }

    /// <summary>The collector has everything of that identity up to here.</summary>
    public void AcknowledgeThrough(string spoolId, ulong sequence)
    {
        lock (_gate)
        {
            if (_spoolId != spoolId)
            {
                return;
            }

            (_acknowledgeId, _acknowledge) = (spoolId, Math.Max(_acknowledge, sequence));
            if (_problem is null)
            {
                Guarded(Acknowledge);
            }
        }
    }

    /// <summary>Continues under a new <see cref="SpoolId"/>; the collector then takes what is here as new.</summary>
    public void RenewIdentity()
    {
        lock (_gate)
        {
            if (Guarded(() => _table!.RenewIdentity()))
            {
                _spoolId = _table!.SpoolId;
                IdentityRenewed(_logger, _spoolId);
            }
        }
    }

    /// <summary>Completes when something may have been appended since the last time it completed.</summary>
    public async Task WaitForNewsAsync(CancellationToken stop) => await _news.Reader.ReadAsync(stop).ConfigureAwait(false);

    /// <summary>The latest state of the last builds, oldest first.</summary>
    public IReadOnlyList<Build> RecentBuilds(int count)
        => [.. History(SpoolKind.Build, count, 0).Select(record => record.Build)];

    /// <summary>The latest state of the last findings, oldest first.</summary>
    public IReadOnlyList<Finding> RecentFindings(int count, Severity atLeast = Severity.Unspecified)
        => [.. History(SpoolKind.Finding, count, (int)atLeast).Select(record => record.Finding)];

    public Build? FindBuild(string id) => Find(SpoolKind.Build, id)?.Build;

    public Finding? FindFinding(string uid) => Find(SpoolKind.Finding, uid)?.Finding;

    public void Dispose()
    {
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            // What waits in memory gets one last chance.
            if (_waiting.Count > 0 && !Guarded(Flush))
            {
                LostAtStop(_logger, _waiting.Count, _problem ?? "");
            }

            _disposed = true;
            _retry.Dispose();
            _table?.Dispose();
            _table = null;
        }
    }

    private List<OutputRecord> History(SpoolKind kind, int count, int rank)
    {
        lock (_gate)
        {
            List<byte[]> bytes = [];
            Guarded(() => bytes = _table!.History(kind, count, rank));
            return [.. bytes.Select(OutputRecord.Parser.ParseFrom)];
        }
    }

    private OutputRecord? Find(SpoolKind kind, string id)
    {
        lock (_gate)
        {
            byte[]? bytes = null;
            Guarded(() => bytes = _table!.Find(kind, id));
            return bytes is null ? null : OutputRecord.Parser.ParseFrom(bytes);
        }
    }

    private void Flush()
    {
        if (_waiting.Count > 0)
        {
            ulong givenUp = _table!.GivenUp + (ulong)_givenUpInMemory;
            _table.Write(_waiting, _givenUpInMemory);
            _waiting.Clear();
            _waitingBytes = 0;
            _givenUpInMemory = 0;
            _news.Writer.TryWrite(true);
            NoteGivingUp(_table.GivenUp > givenUp);
        }
    }

    private void Acknowledge()
    {
        if (_acknowledge > 0 && _acknowledgeId == _table!.SpoolId)
        {
            _table.AcknowledgeThrough(_acknowledge);
        }

        _acknowledge = 0;
    }

    // Once per episode: from the first record given up until half of the room is free again.
    private void NoteGivingUp(bool now)
    {
        if (now && !_givingUp)
        {
            _givingUp = true;
            GivingUp(_logger, _options.SizeLimit, _table!.GivenUp);
        }
        else if (!now && _table!.Bytes < _options.SizeLimit / 2)
        {
            _givingUp = false;
        }
    }

    // Everything that touches the disk goes through here: it opens the file when it is not open, and turns what goes
    // wrong into a state with one line.
    private bool Guarded(Action action)
    {
        if (_disposed)
        {
            return false;
        }

        try
        {
            _table ??= new SpoolTable(SpoolDatabase.Open(_path, _options.MaximumPages), _options);
            _spoolId = _table.SpoolId;
            action();
            return true;
        }
        catch (SqliteException error) when (SpoolDatabase.IsDamage(error))
        {
            return Replace(error, action);
        }
        catch (Exception error) when (error is SqliteException or IOException or UnauthorizedAccessException)
        {
            Fail(error);
            return false;
        }
    }

    private bool Replace(SqliteException damage, Action action)
    {
        try
        {
            _table?.Dispose();
            _table = null;
            string aside = SpoolDatabase.MoveAside(_path, _time.GetUtcNow());
            List<OutputRecord> salvaged = SpoolDatabase.Salvage(aside);
            _table = new SpoolTable(SpoolDatabase.Open(_path, _options.MaximumPages), _options);
            _table.Write([.. salvaged.Select(SpoolEntry.Of)], 0);
            _acknowledge = 0;
            _damage = $"{_path} was damaged and moved to {Path.GetFileName(aside)}; {salvaged.Count} unsent records were carried over, others may be lost";
            Damaged(_logger, _path, aside, salvaged.Count, SpoolDatabase.OneLine(damage));
            _spoolId = _table.SpoolId;
            action();
            return true;
        }
        catch (Exception error) when (error is SqliteException or IOException or UnauthorizedAccessException)
        {
            Fail(error);
            return false;
        }
    }

    private void Healthy()
    {
        if (_problem is not null)
        {
            _problem = null;
            Recovered(_logger);
        }
    }

    private void Fail(Exception error)
    {
        // After an I/O error the connection may believe pages that never reached the disk.
        _table?.Dispose();
        _table = null;
        string problem = $"{_path}: {SpoolDatabase.OneLine(error)}";
        if (_problem is null)
        {
            Failing(_logger, problem);
        }

        _problem = problem;
        _retry.Change(_options.RetryEvery, Timeout.InfiniteTimeSpan);
    }

    private void Retry()
    {
        lock (_gate)
        {
            if (_disposed || _problem is null)
            {
                return;
            }

            try
            {
                // A failure arms the timer again.
                if (Guarded(() =>
                {
                    // First: what the collector has makes room.
                    Acknowledge();
                    Flush();
                }))
                {
                    Healthy();
                }
            }
            catch (SpoolException error)
            {
                Fail(error);
            }
        }
    }

    // The least severe go first, among them the oldest: as on disk.
    private void BoundMemory()
    {
        if (_waitingBytes <= _options.MemoryLimit)
        {
            return;
        }

        long before = _givenUpInMemory;
        var victims = new HashSet<SpoolEntry>(ReferenceEqualityComparer.Instance);
        foreach (SpoolEntry entry in _waiting.OrderBy(entry => entry.Rank))
        {
            if (_waitingBytes <= _options.MemoryLimit * 9 / 10)
            {
                break;
            }

            victims.Add(entry);
            _waitingBytes -= entry.Size;
            _givenUpInMemory++;
        }

        _waiting.RemoveAll(victims.Contains);

        if (before == 0)
        {
            MemoryFull(_logger, _problem ?? "");
        }
    }
}
