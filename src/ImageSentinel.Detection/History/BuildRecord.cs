using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.History;

/// <summary>One record of an engine's build history, as far as it was told.</summary>
public sealed class BuildRecord(int engine, string reference)
{
    private readonly Dictionary<string, BuildVertex> _vertexes = new(StringComparer.Ordinal);

    public int Engine { get; } = engine;

    public string Ref { get; } = reference;

    /// <summary>What was asked of the frontend; values of build arguments are not known to anybody here.</summary>
    public IReadOnlyList<BuildAttribute> Attributes { get; internal set; } = [];

    public IReadOnlyList<string> Names { get; internal set; } = [];

    /// <summary>Nanoseconds since the epoch; 0 when not told.</summary>
    public long CreatedWall { get; internal set; }

    /// <summary>Nanoseconds since the epoch; 0 while the build runs.</summary>
    public long CompletedWall { get; internal set; }

    /// <summary>Empty when the build succeeded or still runs.</summary>
    public string Error { get; internal set; } = "";

    public int CachedSteps { get; internal set; }

    public int TotalSteps { get; internal set; }

    /// <summary>Set when the record was taken out of the history.</summary>
    public Stamp? Deleted { get; internal set; }

    /// <summary>The engine has told every step there is.</summary>
    public bool StepsKnown { get; internal set; }

    public IEnumerable<BuildVertex> Vertexes => _vertexes.Values;

    /// <summary>The build that the record speaks of, once the two met.</summary>
    internal Build? Build { get; set; }

    internal void Learn(BuildVertex vertex)
    {
        if (_vertexes.Count < 4096 || _vertexes.ContainsKey(vertex.Digest))
        {
            _vertexes[vertex.Digest] = vertex;
        }
    }
}
