using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Files;

/// <summary>The files of one step: all of them counted, the telling ones kept.</summary>
/// <remarks>
/// A package installation writes ten thousand files and none of them is news. Kept while the step runs: the first
/// <see cref="Ordinary"/>, what comes after egress, and whatever would persist. Told: at most <see cref="MaximumTold"/>.
/// </remarks>
public sealed class StepFiles
{
    /// <summary>Files of a step that the record lists.</summary>
    public const int MaximumTold = 64;

    /// <summary>Files looked at in a step that went nowhere.</summary>
    internal const int Ordinary = 512;

    /// <summary>Files looked at in a step that reached a new destination.</summary>
    internal const int AfterEgress = 4096;

    private const int FirstOfAKind = 4;
    private const int MaximumCounted = 1 << 18;
    private const int MaximumRuns = 1024;

    private readonly Dictionary<byte[], StepFile> _files = new(PathComparer.Instance);
    private readonly HashSet<ulong> _seen = [];
    private readonly Dictionary<ulong, Stamp> _runs = [];
    private readonly long[] _kinds = new long[5];
    private IReadOnlyList<StepFile> _told = [];
    private long _tracked;

    /// <summary>Different paths created, written or moved into place; never less than that when
    /// <see cref="CountIsAtLeast"/>.</summary>
    public long Count { get; private set; }

    /// <summary>True when so many files were written that equal paths could no longer be told apart.</summary>
    public bool CountIsAtLeast { get; private set; }

    /// <summary>Paths that were counted and not looked at.</summary>
    public long NotLookedAt => Math.Max(0, Count - _tracked);

    /// <summary>Files the step did not hold on to for the record; counted here, listed nowhere.</summary>
    public long NotListed => Math.Max(0, Count - Told.Count);

    /// <summary>Of the files that were looked at, how many are of a kind.</summary>
    public long CountOf(FileKind kind) => _kinds[(int)kind];

    /// <summary>The files worth telling, in the order in which they appeared. Stable between calls when nothing changed.</summary>
    public IReadOnlyList<StepFile> Told
    {
        get
        {
            if (Changed)
            {
                Changed = false;
                _told = Choose();
            }

            return _told;
        }
    }

    internal bool Changed { get; set; }

    /// <summary>Destinations and programs of the step when its files were last judged.</summary>
    internal (int Destinations, long Programs) Judged { get; set; }

    internal IEnumerable<StepFile> All => _files.Values;

    internal StepFile? Find(ReadOnlySpan<byte> path)
        => _files.GetAlternateLookup<ReadOnlySpan<byte>>().TryGetValue(path, out StepFile? file) ? file : null;

    /// <summary>Counts a path; true the first time.</summary>
    internal bool See(ReadOnlySpan<byte> path)
    {
        if (_seen.Count >= MaximumCounted)
        {
            CountIsAtLeast = true;
            return false;
        }

        bool fresh = _seen.Add(PathComparer.Hash(path));
        Count += fresh ? 1 : 0;
        return fresh;
    }

    internal bool HasRoom(bool afterEgress) => _files.Count < (afterEgress ? AfterEgress : Ordinary);

    internal void Add(StepFile file)
    {
        _files[file.Name] = file;
        _tracked++;
        if (_runs.TryGetValue(PathComparer.Hash(file.Name), out Stamp run) && run.Wall >= file.First.Wall)
        {
            file.ExecutedAt = run;
        }

        Changed = true;
    }

    /// <summary>It was none of the step's: the runtime's own preparations.</summary>
    internal void Forget(StepFile file)
    {
        if (_files.Remove(file.Name))
        {
            SetKind(file, FileKind.None);
            _tracked--;
            Count--;
            Changed = true;
        }
    }

    /// <summary>A path was executed; a file event of it may still be on its way.</summary>
    internal void Ran(ReadOnlySpan<byte> path, Stamp at)
    {
        if (_runs.Count < MaximumRuns)
        {
            _runs[PathComparer.Hash(path)] = at;
        }
    }

    internal void SetKind(StepFile file, FileKind kind)
    {
        if (file.Kind != kind)
        {
            _kinds[(int)file.Kind] -= file.Kind == FileKind.None ? 0 : 1;
            _kinds[(int)kind] += kind == FileKind.None ? 0 : 1;
            file.Kind = kind;
        }
    }

    private IReadOnlyList<StepFile> Choose()
    {
        Span<int> firsts = stackalloc int[5];
        var chosen = new List<StepFile>();
        foreach (StepFile file in _files.Values.OrderBy(Rank).ThenBy(static f => f.First.Boot))
        {
            if (chosen.Count == MaximumTold)
            {
                break;
            }

            if (Rank(file) < 4 || (file.Kind != FileKind.None && firsts[(int)file.Kind]++ < FirstOfAKind))
            {
                chosen.Add(file);
            }
        }

        return [.. chosen.OrderBy(static f => f.First.Boot)];
    }

    /// <summary>The step is long over: what is not told is forgotten, its number stays.</summary>
    internal void Settle()
    {
        IReadOnlyList<StepFile> told = Told;
        _seen.Clear();
        _runs.Clear();
        _files.Clear();
        foreach (StepFile file in told)
        {
            _files[file.Name] = file;
        }
    }

    // Most telling first.
    private static int Rank(StepFile file)
        => file.Indicator.Length > 0 || (file.Executed && file.WrittenBy is not null) ? 0
        : file.Persistence != PersistenceKind.None ? 1
        : file.From is not null && file.Runnable ? 2
        : file.From is not null ? 3
        : 4;
}
