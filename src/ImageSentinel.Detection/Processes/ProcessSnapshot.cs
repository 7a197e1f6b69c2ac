using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Processes;

/// <summary>What a process was at one moment: evidence that later execs and exits cannot change.</summary>
public sealed record ProcessSnapshot(
    int Pid,
    Stamp Started,
    uint Uid,
    uint Gid,
    uint LoginUid,
    uint Session,
    string Exe,
    IReadOnlyList<string> Arguments,
    string Cwd,
    string ContainerId,
    IReadOnlyList<ProcessSnapshot> Ancestors)
{
    /// <summary>Ancestors told per process, nearest first; enough for shell, sudo, sshd and its session.</summary>
    private const int MaximumAncestors = 12;

    public static ProcessSnapshot Of(ProcessNode node) => Of(node, long.MaxValue);

    /// <summary>The process as it was at a moment, wall clock: with the program it ran then.</summary>
    internal static ProcessSnapshot Of(ProcessNode node, long wall)
    {
        var ancestors = new List<ProcessSnapshot>();
        for (ProcessNode? parent = node.Parent; parent is not null && ancestors.Count < MaximumAncestors; parent = parent.Parent)
        {
            ancestors.Add(Alone(parent, wall, []));
        }

        return Alone(node, wall, ancestors);
    }

    private static ProcessSnapshot Alone(ProcessNode node, long wall, IReadOnlyList<ProcessSnapshot> ancestors) => new(
        node.Key.Pid,
        node.Started,
        node.Uid,
        node.Gid,
        node.LoginUid,
        node.Session,
        node.ExeTextAt(wall),
        node.ArgumentList(wall),
        node.CwdTextAt(wall),
        node.Scope?.ContainerId ?? "",
        ancestors);
}
