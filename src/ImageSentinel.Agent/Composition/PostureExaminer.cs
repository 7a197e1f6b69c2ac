using System.Collections.Immutable;
using ImageSentinel.Agent.Commands;
using ImageSentinel.Agent.Options;
using ImageSentinel.Detection.Posture;
using ImageSentinel.Sensors.Lookups;

namespace ImageSentinel.Agent.Composition;

/// <summary>Reads and judges each configured engine's set-up, without a running agent.</summary>
internal sealed class PostureExaminer : IPostureExaminer
{
    public async Task<ImmutableArray<EnginePosture>> ExamineAsync(AgentOptions options, CancellationToken cancellation)
    {
        var engines = new List<EnginePosture>();
        for (int i = 0; i < options.Engines.Length; i++)
        {
            string socket = options.Engines[i].Socket;
            PostureFact fact = await PostureReader.ReadAsync(i, socket, cancellation).ConfigureAwait(false);
            string? unreachable = fact.Unread.FirstOrDefault(static u => u.StartsWith("engine:", StringComparison.Ordinal));
            bool forbidden = unreachable?.EndsWith("permission denied", StringComparison.Ordinal) == true;
            engines.Add(new EnginePosture(socket, unreachable?["engine:".Length..].Trim(), forbidden, [.. PostureRules.Judge(fact)]));
        }

        return [.. engines];
    }
}
