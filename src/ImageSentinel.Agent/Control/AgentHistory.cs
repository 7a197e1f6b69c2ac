using System.Threading.Channels;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Control;

/// <summary>
/// The last builds and findings, in memory, for the control socket. Fed like any other output; read from any thread.
/// </summary>
/// <remarks>
/// Bounded: the oldest are forgotten, their records live on in the spool's history and at the collector. Messages in
/// here are never changed after they came in, so readers share them without copying.
/// </remarks>
public sealed class AgentHistory : IRecordOutput
{
    public const int Builds = 512;
    public const int Findings = 2048;
    private const int SubscriberQueue = 1024;

    private readonly Lock _gate = new();
    private readonly RecentMap<string, Build> _builds = new(Builds);
    private readonly RecentMap<string, Finding> _findings = new(Findings);
    private readonly List<Channel<OutputRecord>> _subscribers = [];
    private readonly Dictionary<string, ulong> _severities = [];
    private ulong _buildsSeen;

    public string Name => "history";

    /// <summary>Fills in what an earlier run left behind, oldest first. Nobody is told of it again.</summary>
    /// <returns>The builds that were running when the earlier agent was killed, as ended: whoever was told of their
    /// beginning must be told of this end.</returns>
    public IReadOnlyList<Build> Restore(IEnumerable<Build> builds, IEnumerable<Finding> findings)
    {
        List<Build> abandoned = [];
        lock (_gate)
        {
            foreach (Build build in builds)
            {
                Build known = build;
                if (build.State != BuildState.Ended)
                {
                    known = Abandoned(build);
                    abandoned.Add(known);
                }

                _builds.Set(known.Id, known);
            }

            foreach (Finding finding in findings)
            {
                _findings.Set(finding.Uid, finding);
                string word = SeverityTable.Of(finding.Severity).Word;
                _severities[word] = _severities.GetValueOrDefault(word) + 1;
            }
        }

        return abandoned;
    }

    public void Write(IReadOnlyList<OutputRecord> batch)
    {
        lock (_gate)
        {
            foreach (OutputRecord record in batch)
            {
                Remember(record);
                Publish(record);
            }
        }
    }

    /// <summary>Fills in what this knows of the agent's status.</summary>
    public void Describe(GetStatusResponse status)
    {
        lock (_gate)
        {
            status.Builds = _buildsSeen;
            status.BuildsActive = (ulong)_builds.Values.Count(build => build.State != BuildState.Ended);
            foreach ((string severity, ulong count) in _severities)
            {
                status.FindingsBySeverity[severity] = count;
            }
        }
    }

    /// <summary>The newest <paramref name="last"/> builds, newest last; 0 means all that are kept.</summary>
    public IReadOnlyList<Build> RecentBuilds(uint last)
    {
        lock (_gate)
        {
            return Newest(_builds.Values, last);
        }
    }

    public IReadOnlyList<Finding> RecentFindings(uint last, Severity atLeast)
    {
        lock (_gate)
        {
            return Newest(_findings.Values.Where(finding => finding.Severity >= atLeast), last);
        }
    }

    /// <summary>Null when the uid is unknown. A unique beginning of a uid (at least 6 characters) is enough.</summary>
    public ExplainResponse? Explain(string uid)
    {
        lock (_gate)
        {
            if (!_findings.TryGet(uid, out Finding? finding))
            {
                Finding[] near = uid.Length < 6 ? [] : [.. _findings.Values.Where(f => f.Uid.StartsWith(uid, StringComparison.OrdinalIgnoreCase)).Take(2)];
                if (near is not [var only])
                {
                    return null;
                }

                finding = only;
            }

            var response = new ExplainResponse { Finding = finding };
            if (finding.BuildId.Length > 0)
            {
                if (_builds.TryGet(finding.BuildId, out Build? build))
                {
                    response.Build = build;
                }

                response.Related.AddRange(_findings.Values.Where(other => other.BuildId == finding.BuildId && other.Uid != finding.Uid));
            }

            return response;
        }
    }

    /// <summary>
    /// What is kept, then everything that comes, without a gap or a repetition between the two. A reader that falls more
    /// than a thousand records behind is cut off rather than waited for.
    /// </summary>
    public (IReadOnlyList<OutputRecord> Kept, ChannelReader<OutputRecord> Coming, IDisposable Subscription) Follow()
    {
        var channel = Channel.CreateBounded<OutputRecord>(new BoundedChannelOptions(SubscriberQueue) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });
        lock (_gate)
        {
            List<OutputRecord> kept =
            [
                .. _builds.Values.Select(build => new OutputRecord { Build = build }),
                .. _findings.Values.Select(finding => new OutputRecord { Finding = finding }),
            ];
            _subscribers.Add(channel);
            return (kept, channel.Reader, new Subscription(this, channel));
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            foreach (Channel<OutputRecord> subscriber in _subscribers)
            {
                subscriber.Writer.TryComplete();
            }

            _subscribers.Clear();
        }
    }

    private void Remember(OutputRecord record)
    {
        switch (record.PayloadCase)
        {
            case OutputRecord.PayloadOneofCase.Build:
                if (!_builds.TryGet(record.Build.Id, out _))
                {
                    _buildsSeen++;
                }

                _builds.Set(record.Build.Id, record.Build);
                break;

            case OutputRecord.PayloadOneofCase.Finding:
                Finding finding = record.Finding;
                if (_findings.TryGet(finding.Uid, out Finding? before))
                {
                    _severities[SeverityTable.Of(before.Severity).Word]--;
                }

                string word = SeverityTable.Of(finding.Severity).Word;
                _severities[word] = _severities.GetValueOrDefault(word) + 1;
                _findings.Set(finding.Uid, finding);
                break;
        }
    }

    private void Publish(OutputRecord record)
    {
        for (int i = _subscribers.Count - 1; i >= 0; i--)
        {
            if (!_subscribers[i].Writer.TryWrite(record))
            {
                _subscribers[i].Writer.TryComplete(new InvalidOperationException("the reader fell behind and was cut off; ask again"));
                _subscribers.RemoveAt(i);
            }
        }
    }

    // It was running when the earlier agent stopped; whatever it did afterwards nobody saw.
    private static Build Abandoned(Build build)
    {
        Build ended = build.Clone();
        ended.State = BuildState.Ended;
        ended.Verdict = ended.Verdict is Verdict.Malicious or Verdict.Suspicious ? ended.Verdict : Verdict.Unknown;
        ended.Notes.Add("the agent stopped while this build ran; what it did afterwards was not seen");
        return ended;
    }

    private static T[] Newest<T>(IEnumerable<T> items, uint last)
    {
        T[] all = [.. items];
        return last == 0 || last >= all.Length ? all : all[^(int)last..];
    }

    private sealed class Subscription(AgentHistory history, Channel<OutputRecord> channel) : IDisposable
    {
        public void Dispose()
        {
            lock (history._gate)
            {
                history._subscribers.Remove(channel);
            }
        }
    }
}
