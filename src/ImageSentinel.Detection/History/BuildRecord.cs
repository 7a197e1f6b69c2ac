using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.History;

/// <summary>One record of an engine's build history, as far as it was told.</summary>
public sealed class BuildRecord(int engine, string reference)
{
    private const int MaximumVertexes = 4096;

    private readonly Dictionary<string, BuildVertex> _vertexes = new(StringComparer.Ordinal);
    private bool _told;
    private bool _beyond;

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

    /// <summary>The image's configuration; empty when none was made or it is not told.</summary>
    public string ImageId { get; internal set; } = "";

    /// <summary>The record's steps are told as they begin and end, and all of them are kept.</summary>
    public bool StepsKnown => _told && !_beyond;

    public IEnumerable<BuildVertex> Vertexes => _vertexes.Values;

    /// <summary>The build that the record speaks of, once the two met.</summary>
    internal Build? Build { get; set; }

    internal void Learn(BuildVertexFact fact)
    {
        _told |= fact.Vertexes.Count > 0;
        _beyond |= fact.Beyond;
        Names = [.. Names.Union(fact.Names)];
        foreach (BuildVertex vertex in fact.Vertexes)
        {
            if (_vertexes.Count < MaximumVertexes || _vertexes.ContainsKey(vertex.Digest))
            {
                _vertexes[vertex.Digest] = vertex;
            }
            else
            {
                _beyond = true;
            }
        }
    }
}
