using System.Text;
using ImageSentinel.Interop;

namespace ImageSentinel.Sensors.SelfTesting;

/// <summary>What a self-test tries.</summary>
public sealed class SelfTestPlan
{
    /// <summary>The program that is started as the child; by default this one.</summary>
    public string Program { get; init; } = Environment.ProcessPath ?? "/proc/self/exe";

    /// <summary>Its first arguments; the nonce and the places follow.</summary>
    public IReadOnlyList<string> Arguments { get; init; } = [SelfTestChild.Command];

    /// <summary>Whether the audit sensor is on.</summary>
    public bool Audit { get; init; }

    /// <summary>Whether the process sensor is on.</summary>
    public bool Processes { get; init; }

    /// <summary>Data roots that the file sensor watches, by the number their events carry.</summary>
    public IReadOnlyDictionary<byte, string> DataRoots { get; init; } = new Dictionary<byte, string>();

    /// <summary>API sockets whose daemons audit should see accepting, by the daemon's pid.</summary>
    public IReadOnlyDictionary<int, string> Engines { get; init; } = new Dictionary<int, string>();

    /// <summary>How long records may take. They come within milliseconds unless something is wrong or very busy.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(2);
}

/// <summary>Whether one sensor delivered what the child did.</summary>
/// <param name="Sensor">"audit", "processes", "fanotify" or "engine".</param>
/// <param name="Delivers">True when it did.</param>
/// <param name="Reason">Empty when it did; else what did not come and what that usually means, one line.</param>
public sealed record SensorProof(string Sensor, bool Delivers, string Reason);

/// <summary>Proves that what happens on this host reaches the queue, before the agent calls itself ready.</summary>
public static class SelfTest
{
    /// <summary>Starts the child and waits until everything it did came through, or patience ends.</summary>
    /// <param name="tap">The queue that the sensors were started with.</param>
    /// <param name="plan">What to try.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <returns>One proof for each sensor in the plan, in a fixed order.</returns>
    public static async Task<IReadOnlyList<SensorProof>> RunAsync(SelfTestTap tap, SelfTestPlan plan, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(tap);
        ArgumentNullException.ThrowIfNull(plan);

        string nonce = Guid.NewGuid().ToString("N");
        var evidence = new SelfTestEvidence(Encoding.ASCII.GetBytes(nonce));
        tap.Arm(evidence);
        try
        {
            string[] arguments =
            [
                .. plan.Arguments,
                nonce,
                .. plan.DataRoots.Values.Select(root => "root:" + root),
                .. plan.Engines.Values.Select(socket => "engine:" + socket),
            ];
            using ChildProcess child = ChildProcess.Start(plan.Program, arguments);
            Expectation[] expected = [.. Expect(plan, child.Pid)];
            long end = Clocks.MonotonicNanoseconds + (plan.Patience.Ticks * 100);
            while (expected.Any(e => !evidence.Has(e.Sign, e.Who)) && Clocks.MonotonicNanoseconds < end)
            {
                await Task.Delay(1, cancellation).ConfigureAwait(false);
            }

            // What it did is in; its end is a formality, and Dispose sees to a child that hangs.
            _ = child.TryWait(TimeSpan.FromMilliseconds(100));
            return [.. expected.GroupBy(e => e.Sensor).Select(group => Judge(group.Key, [.. group.Where(e => !evidence.Has(e.Sign, e.Who))]))];
        }
        catch (LinuxException e)
        {
            return [new SensorProof("self-test", false, $"the child could not be started: {e.Message}")];
        }
        finally
        {
            tap.Disarm();
        }
    }

    private static SensorProof Judge(string sensor, Expectation[] missing)
        => new(sensor, missing.Length == 0, string.Join("; ", missing.Select(e => e.Reason)));

    private static IEnumerable<Expectation> Expect(SelfTestPlan plan, int child)
    {
        if (plan.Audit)
        {
            yield return new Expectation("audit", SelfTestSign.AuditedExec, child,
                "a program that was started gave no record");
            yield return new Expectation("audit", SelfTestSign.AuditedConnect, child,
                "a connect to loopback gave no record: look for foreign never rules (auditctl -l)");
        }

        if (plan.Processes)
        {
            yield return new Expectation("processes", SelfTestSign.ConnectorExec, child,
                "a program that was started gave no event: the agent must run in the host's pid and network namespaces");
        }

        foreach ((byte engine, string root) in plan.DataRoots)
        {
            yield return new Expectation("fanotify", SelfTestSign.File, engine, $"a file made below {root} gave no event");
        }

        foreach ((int daemon, string socket) in plan.Engines)
        {
            yield return new Expectation("engine", SelfTestSign.AuditedAccept, daemon,
                $"the daemon behind {socket} accepted a connection without a record: it is older than audit on this boot; "
                + "its clients are found through its open sockets until it is restarted (or boot with audit=1)");
        }
    }

    private sealed record Expectation(string Sensor, SelfTestSign Sign, long Who, string Reason);
}
