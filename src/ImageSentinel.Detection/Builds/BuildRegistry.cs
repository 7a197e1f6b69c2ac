using System.Globalization;
using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Builds;

/// <summary>All builds: the running ones, and the ended ones that can still change.</summary>
public sealed class BuildRegistry(CoreState state)
{
    private const int MaximumRecent = 256;
    private const int RecentRivals = 16;

    private readonly List<Build> _active = [];
    private readonly List<Build> _recent = [];
    private int _counter;

    public IReadOnlyList<Build> Active => _active;

    /// <summary>Ended, newest last.</summary>
    public IReadOnlyList<Build> Recent => _recent;

    /// <summary>Raised when a build ended, before it is told for the last time.</summary>
    internal Action<Build, Stamp>? Ended { get; set; }

    /// <summary>Raised when a build's clients were chosen or chosen anew.</summary>
    internal Action<Build, Stamp>? ClientsChosen { get; set; }

    internal Build Start(
        Builder builder, int engine, Stamp at, string contextDirectory = "", string builderContainer = "", BuildClient? requester = null)
    {
        _counter++;
        string id = state.MakeId(
            "b",
            engine.ToString(CultureInfo.InvariantCulture),
            at.Boot.ToString(CultureInfo.InvariantCulture),
            _counter.ToString(CultureInfo.InvariantCulture));
        var build = new Build(id, builder, engine, at)
        {
            ContextDirectory = contextDirectory,
            BuilderContainer = builderContainer,
            Requester = requester,
            Dirty = true,
        };
        _active.Add(build);
        if (state.Ready is null)
        {
            build.Note("running when the agent started: what happened before is not known");
            build.AddLoss(-1);
        }

        ChooseClients(build, at);
        return build;
    }

    internal void ChooseClients(Build build, Stamp at)
    {
        // The ended ones too: whoever got a build is less likely to be behind the next.
        List<Build> others = [.. _active, .. _recent.TakeLast(RecentRivals)];
        IReadOnlyList<(ClientSession Session, double Score, string Reason)> weighed = state.Clients.Weigh(build, others);

        // A builder of its own is asked through the engine by a build command, or not through the engine at all: whoever
        // else talks to the engine meanwhile does not count.
        if (build.Requester is { } own && (weighed.Count == 0 || weighed[0].Session.Command.Intent != ClientIntent.Build))
        {
            build.PrimarySession = null;
            build.Clients = [own];
        }
        else
        {
            build.PrimarySession = weighed.Count > 0 ? weighed[0].Session : null;
            build.Clients = state.Clients.Choose(build, others);
        }

        ClientsChosen?.Invoke(build, at);
    }

    internal IEnumerable<Build> ActiveOn(int engine, Builder builder)
        => _active.Where(b => b.Engine == engine && b.Builder == builder);

    internal static void Touch(Build build, Stamp at)
    {
        build.LastActivity = at;
        build.Dirty = true;
    }

    internal void End(Build build, Stamp at, BuildResult result)
    {
        if (!_active.Remove(build))
        {
            return;
        }

        build.Ended = at;
        build.Result = result;
        build.SensorsAtEnd = [.. state.Sensors.Values];
        build.Dirty = true;
        _recent.Add(build);
        if (_recent.Count > MaximumRecent)
        {
            _recent.RemoveAt(0);
        }

        ChooseClients(build, at);
        Ended?.Invoke(build, at);
    }

    /// <summary>The agent stops: whoever reads of these builds must not wait for an end that nobody will see.</summary>
    internal void Abandon(Stamp at)
    {
        foreach (Build build in _active.ToArray())
        {
            build.Note("the agent stopped while this build ran; what it did afterwards was not seen");
            build.AddLoss(-1);
            End(build, at, BuildResult.None);
        }
    }

    /// <summary>A build with its steps' outcome but no image yet: what would its result be?</summary>
    internal static BuildResult ResultOf(Build build)
    {
        if (build.ImageId.Length > 0 && build.ImageWritten is not null)
        {
            return BuildResult.Succeeded;
        }

        bool clientLeftFirst = build.PrimarySession?.Ended is { } gone
            && build.Steps.Any(s => s.Ended is null || (s.Killed && s.Ended.Value.Boot + (500 * Stamp.Millisecond) >= gone.Boot));
        if (build.KillSeen || (clientLeftFirst && build.Steps.Any(static s => s.Killed || s.Ended is null)))
        {
            return BuildResult.Cancelled;
        }

        return build.Steps.Any(static s => s.ExitCode is not (null or 0)) ? BuildResult.Failed : BuildResult.NoImage;
    }

    /// <summary>Tells what changed; called after every batch and every tick.</summary>
    internal void Flush(Stamp at, bool all)
    {
        // Several changes inside 100 ms become one message; the first and the last are told at once.
        for (int i = 0; i < _active.Count; i++)
        {
            Tell(_active[i], at, all);
        }

        for (int i = _recent.Count - 1; i >= 0 && i >= _recent.Count - 32; i--)
        {
            Tell(_recent[i], at, all: true);
        }
    }

    private void Tell(Build build, Stamp at, bool all)
    {
        if (build.Dirty && (all || build.LastEmitted.Boot == 0 || at.Since(build.LastEmitted) > 100 * Stamp.Millisecond))
        {
            build.Dirty = false;
            build.LastEmitted = at;
            state.Output.BuildChanged(build, at);
        }
    }
}
