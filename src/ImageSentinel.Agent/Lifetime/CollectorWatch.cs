using ImageSentinel.Agent.Control;
using ImageSentinel.Agent.Outputs;

namespace ImageSentinel.Agent.Lifetime;

/// <summary>Says once when the collector is lost and once when it is back. Looks at the status every few seconds.</summary>
internal sealed class CollectorWatch : IDisposable
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(2);

    private readonly Timer _timer;
    private bool _lost;

    public CollectorWatch(IAgentState state, OutputWriter writer)
        => _timer = new Timer(_ => Look(state.GetStatus().Collector, writer.Tell), null, Every, Every);

    /// <param name="now">The status's word: "none", "connecting", "connected", else why not.</param>
    /// <param name="tell">Takes what is news.</param>
    internal void Look(string now, Action<Notice> tell)
    {
        if (now is "none" or "connecting")
        {
            return;
        }

        bool lost = now != "connected";
        if (lost && !_lost)
        {
            tell(new Notice(NoticeKind.CollectorLost, $"no collector: {now}; findings wait in the spool"));
        }
        else if (!lost && _lost)
        {
            tell(new Notice(NoticeKind.CollectorRegained, "the collector answers again; what waited is being sent"));
        }

        _lost = lost;
    }

    public void Dispose() => _timer.Dispose();
}
