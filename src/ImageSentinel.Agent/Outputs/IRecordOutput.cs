using ImageSentinel.V1;

namespace ImageSentinel.Agent.Outputs;

/// <summary>One place that findings go to.</summary>
/// <remarks>
/// Called on <see cref="OutputWriter"/>'s thread only, so an output needs no lock of its own. What it throws is caught,
/// counted and told once per episode; the other outputs never notice.
/// </remarks>
public interface IRecordOutput : IDisposable
{
    /// <summary>For messages: "json_lines /var/log/imagesentinel.json".</summary>
    string Name { get; }

    /// <summary>Writes all of it or throws. A durable output makes the batch durable before it returns.</summary>
    void Write(IReadOnlyList<OutputRecord> batch);

    /// <summary>Passes on something about the agent itself. Outputs for machines ignore it.</summary>
    void Tell(Notice notice)
    {
    }

    /// <summary>SIGHUP: open again what may have been moved away.</summary>
    void Reopen()
    {
    }
}
