using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.History;

/// <summary>Holds the engine's build history beside what was seen of each build. It adds and contradicts; it decides nothing.</summary>
/// <remarks>
/// A step that ran must be a step of some record that was being built then: by its text, else by its time. Only while
/// the history was followed from before the build until <see cref="Patience"/> after it does absence mean anything.
/// </remarks>
internal sealed class HistoryWitness(CoreState state, BuildRegistry builds, RecordMismatchDetector detector)
{
    /// <summary>The engine tells a step's begin and end within milliseconds of it, the record's end some seconds later.</summary>
    private const long Patience = 5 * Stamp.Second;

    // The engine prepares mounts and network between the step's begin and the runtime's; it marks the end after both.
    private const long Before = 2 * Stamp.Second;
    private const long After = 500 * Stamp.Millisecond;
    private const int MaximumRecords = 512;

    private readonly Dictionary<int, Stamp> _following = [];
    private readonly Dictionary<(int Engine, string Ref), BuildRecord> _records = [];
    private readonly Queue<(int Engine, string Ref)> _order = new();
    private readonly Dictionary<BuildStep, BuildRecord> _witnessed = [];
    private readonly HashSet<(int Engine, string Digest, long Started)> _claimed = [];
    private readonly HashSet<Build> _judged = [];
    private readonly List<BuildRecord> _deleted = [];

    public void Learn(HistoryStateFact fact, Stamp at)
    {
        if (!fact.Following)
        {
            _ = _following.Remove(fact.Engine);
        }
        else
        {
            _ = _following.TryAdd(fact.Engine, at);
        }
    }

    public void Learn(BuildRecordFact fact, Stamp at)
    {
        if (fact.Change == BuildRecordChange.Deleted)
        {
            if (_records.TryGetValue((fact.Engine, fact.Ref), out BuildRecord? gone) && gone.Deleted is null)
            {
                gone.Deleted = at;
                _deleted.Add(gone);
            }

            return;
        }

        BuildRecord record = RecordOf(fact.Engine, fact.Ref);
        record.Attributes = fact.Attributes.Count > 0 ? fact.Attributes : record.Attributes;
        record.Names = fact.Names.Count > 0 ? fact.Names : record.Names;
        record.CreatedWall = Math.Max(record.CreatedWall, fact.CreatedWall);
        record.CompletedWall = Math.Max(record.CompletedWall, fact.CompletedWall);
        record.Error = fact.Error;
        record.CachedSteps = Math.Max(record.CachedSteps, fact.CachedSteps);
        record.TotalSteps = Math.Max(record.TotalSteps, fact.TotalSteps);
        record.ImageId = fact.ImageId.Length > 0 ? fact.ImageId : record.ImageId;
        if (record.Build is { } build)
        {
            Enrich(build, record, at);
        }
    }

    public void Learn(BuildVertexFact fact) => RecordOf(fact.Engine, fact.Ref).Learn(fact);

    public void OnTick(Stamp at)
    {
        if (_records.Count == 0 && _following.Count == 0)
        {
            return;
        }

        for (int i = 0; i < builds.Active.Count; i++)
        {
            Match(builds.Active[i], at);
        }

        for (int i = builds.Recent.Count - 1; i >= 0 && at.Since(builds.Recent[i].Ended!.Value) < 6 * Patience; i--)
        {
            Build build = builds.Recent[i];
            Match(build, at);
            if (at.Since(build.Ended!.Value) > Patience && !_judged.Contains(build) && Judge(build, at))
            {
                _ = _judged.Add(build);
            }
        }

        JudgeDeletions(at);
        if (_judged.Count > 1024)
        {
            _judged.IntersectWith(builds.Recent);
        }
    }

    private static bool Concerns(Build build) => build is { Builder: Builder.BuildKit, Engine: >= 0 };

    private static IEnumerable<BuildStep> Executed(Build build) => build.Steps.Where(static s => s is { Cached: false, Launcher: not null });

    private void Match(Build build, Stamp at)
    {
        if (!Concerns(build))
        {
            return;
        }

        foreach (BuildStep step in Executed(build).ToList())
        {
            if (!_witnessed.ContainsKey(step) && step.Command.Length > 0 && Find(step, byText: true) is { } found)
            {
                Claim(step, build, found.Record, found.Vertex, at);
            }
        }

        // Without a step that ran, what came out or the name that was asked for tells that the two are the same.
        if (build.Record is null)
        {
            BuildRecord? same = _records.Values.FirstOrDefault(r => r.Engine == build.Engine && r.Build is null && Overlaps(r, build) && IsOf(r, build));
            if (same is not null)
            {
                Tie(build, same, at);
            }
        }
    }

    private static bool IsOf(BuildRecord record, Build build)
        => build.PrimarySession?.Command.Tags is { Count: > 0 } asked
            ? record.Names.Any(name => asked.Contains(Short(name)))
            : build.ImageId.Length > 0 && record.ImageId == build.ImageId;

    // The engine writes names in full; its store and its clients leave the default registry out.
    private static string Short(string name)
        => name.StartsWith("docker.io/library/", StringComparison.Ordinal) ? name["docker.io/library/".Length..]
        : name.StartsWith("docker.io/", StringComparison.Ordinal) ? name["docker.io/".Length..]
        : name;

    private static bool Overlaps(BuildRecord record, Build build)
        => record.CreatedWall - Before <= (build.Ended?.Wall ?? long.MaxValue - Stamp.Second)
        && (record.CompletedWall == 0 || record.CompletedWall + After >= build.Started.Wall);

    private (BuildRecord Record, BuildVertex Vertex)? Find(BuildStep step, bool byText)
    {
        string command = Dockerfile.Normalize(step.Command);
        (BuildRecord Record, BuildVertex Vertex)? best = null;
        long nearest = long.MaxValue;
        foreach (BuildRecord record in _records.Values)
        {
            if (record.Engine != step.Engine)
            {
                continue;
            }

            foreach (BuildVertex vertex in record.Vertexes)
            {
                if (vertex.StartedWall == 0 || vertex.Cached || _claimed.Contains((record.Engine, vertex.Digest, vertex.StartedWall))
                    || vertex.StartedWall > step.Started.Wall + After
                    || (vertex.CompletedWall != 0 && vertex.CompletedWall < step.Started.Wall - After)
                    || (byText ? VertexName.Command(vertex.Name) != command : !VertexName.MayExecute(vertex.Name)))
                {
                    continue;
                }

                long distance = Math.Abs(step.Started.Wall - vertex.StartedWall);
                if (distance < nearest && (byText || distance < Before))
                {
                    nearest = distance;
                    best = (record, vertex);
                }
            }
        }

        return best;
    }

    private void Claim(BuildStep step, Build build, BuildRecord record, BuildVertex vertex, Stamp at)
    {
        _witnessed[step] = record;
        _ = _claimed.Add((record.Engine, vertex.Digest, vertex.StartedWall));
        if (build.Record is null && record.Build is null)
        {
            Tie(build, record, at);
        }
    }

    private static void Tie(Build build, BuildRecord record, Stamp at)
    {
        build.Record = record;
        record.Build = build;
        Enrich(build, record, at);
    }

    private static void Enrich(Build build, BuildRecord record, Stamp at)
    {
        build.Dirty = true;
        if (build.BaseImages.Count == 0)
        {
            build.BaseImages = [.. record.Vertexes.Select(static v => VertexName.BaseImage(v.Name)).Where(static n => n.Length > 0).Distinct()];
        }

        foreach (BuildVertex vertex in record.Vertexes.Where(static v => v.Cached && VertexName.IsRun(v.Name)).ToList())
        {
            string command = VertexName.Command(vertex.Name);
            if (build.Steps.Any(s => Dockerfile.Normalize(s.Command) == command))
            {
                continue;
            }

            Instruction? instruction = build.Dockerfile?.FindRun(command);
            build.Add(new BuildStep("cached-" + vertex.Digest[(vertex.Digest.IndexOf(':', StringComparison.Ordinal) + 1)..], build.Engine, at)
            {
                Cached = true,
                Ended = at,
                Index = instruction?.Index ?? 0,
                Total = instruction is null ? 0 : build.Dockerfile!.Instructions.Count,
                Command = command,
                Instruction = StepText.Cut(instruction?.Text ?? VertexName.Instruction(vertex.Name)),
            });
        }

        // A build that came whole from the cache may leave nothing on disk; its record says what it gave.
        if (build.ImageId.Length == 0 && record is { ImageId.Length: > 0, Error.Length: 0 })
        {
            build.ImageId = record.ImageId;
            build.Tags = build.Tags.Count > 0 ? build.Tags : [.. record.Names.Select(Short).Order(StringComparer.Ordinal)];
        }

        if (build is { Ended: not null, Result: BuildResult.NoImage })
        {
            build.Result = record.Error.Contains("context canceled", StringComparison.Ordinal) ? BuildResult.Cancelled
                : record.Error.Length > 0 ? BuildResult.Failed
                : record.ImageId.Length > 0 ? BuildResult.Succeeded
                : BuildResult.NoImage;
        }
    }

    // False when it is to be asked again.
    private bool Judge(Build build, Stamp at)
    {
        bool followed = _following.TryGetValue(build.Engine, out Stamp since) && since.Boot < build.Started.Boot;
        if (!Concerns(build) || !followed || build.Blind)
        {
            return true;
        }

        if (build.Record is { } record)
        {
            Enrich(build, record, at);
        }

        var alone = new List<BuildStep>();
        foreach (BuildStep step in Executed(build))
        {
            if (_witnessed.ContainsKey(step))
            {
                continue;
            }

            if (Find(step, byText: false) is { } found)
            {
                Claim(step, build, found.Record, found.Vertex, at);
            }
            else if (_records.Values.Any(r => !r.StepsKnown && r.Deleted is null && MayHold(r, step)))
            {
                // It may be one of those that were not told yet.
                return false;
            }
            else
            {
                alone.Add(step);
            }
        }

        if (alone.Count > 0)
        {
            detector.Unrecorded(build, alone, at);
        }

        return true;
    }

    private static bool MayHold(BuildRecord record, BuildStep step)
        => record.Engine == step.Engine
        && record.CreatedWall <= (step.Ended ?? step.Started).Wall
        && (record.CompletedWall == 0 || record.CompletedWall + After >= step.Started.Wall);

    // Records leave the history one by one, also when somebody takes out all of them: a moment shows which it was.
    private void JudgeDeletions(Stamp at)
    {
        if (_deleted.Count == 0 || at.Since(_deleted[^1].Deleted!.Value) < 3 * Stamp.Second)
        {
            return;
        }

        List<BuildRecord> gone = [.. _deleted];
        _deleted.Clear();
        foreach (BuildRecord record in gone)
        {
            // An administrator who empties the history takes old records along, or all there are.
            bool sweep = gone.Count(g => g.Engine == record.Engine) > 1
                && (gone.Any(g => g.Engine == record.Engine && Age(g) > state.Policy.TimeWindow)
                    || !_records.Values.Any(r => r.Engine == record.Engine && r.Deleted is null));
            detector.Deleted(record, Age(record), sweep, at);
        }

        foreach (BuildRecord record in gone)
        {
            _ = _records.Remove((record.Engine, record.Ref));
        }
    }

    private static long Age(BuildRecord record) => record.CompletedWall == 0 ? 0 : record.Deleted!.Value.Wall - record.CompletedWall;

    private BuildRecord RecordOf(int engine, string reference)
    {
        if (!_records.TryGetValue((engine, reference), out BuildRecord? record))
        {
            record = new BuildRecord(engine, reference);
            _records[(engine, reference)] = record;
            _order.Enqueue((engine, reference));
            while (_order.Count > MaximumRecords)
            {
                _ = _records.Remove(_order.Dequeue());
            }

            if (_witnessed.Count > 16 * MaximumRecords)
            {
                _witnessed.Clear();
                _claimed.Clear();
            }
        }

        return record;
    }
}
