using System.Text;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Processes;

/// <summary>One incarnation of a pid, kept while it lives and for a grace period after, since audit records arrive late.</summary>
public sealed class ProcessNode
{
    // Newest last. Exec events pass another queue than forks and arrive later than the forks of the new program, so a
    // child asks what its parent ran when it was born, not what it is known to run now.
    private const int MaximumPrograms = 4;

    private const int MaximumDepth = 512;

    private readonly int _depth;
    private Program[] _programs = [];

    internal ProcessNode(ProcessKey key, Stamp started, ProcessNode? parent)
    {
        Key = key;
        Started = started;
        Parent = parent;
        _depth = parent is null ? 0 : parent._depth + 1;
        if (_depth > MaximumDepth)
        {
            // A chain of forks whose parents end at once would keep every ancestor for ever. The label is already ours.
            _programs = [parent!.ProgramAt(started.Wall)];
            Parent = null;
            _depth = 0;
        }

        Scope = parent?.ScopeForChildren;
        ScopeForChildren = Scope;
        if (parent is not null)
        {
            Uid = parent.Uid;
            Gid = parent.Gid;
            LoginUid = parent.LoginUid;
            Session = parent.Session;
        }
    }

    public ProcessKey Key { get; internal set; }

    public Stamp Started { get; internal set; }

    public Stamp? Ended { get; internal set; }

    /// <summary>wait(2) status once ended.</summary>
    public int ExitStatus { get; internal set; }

    /// <summary>The process that forked this one; kept when it ends, and not changed by re-parenting.</summary>
    public ProcessNode? Parent { get; internal set; }

    public uint Uid { get; internal set; } = uint.MaxValue;

    public uint Gid { get; internal set; } = uint.MaxValue;

    public uint LoginUid { get; internal set; } = uint.MaxValue;

    public uint Session { get; internal set; } = uint.MaxValue;

    /// <summary>True once something told us the credentials; before, they are the parent's.</summary>
    public bool HasCredentials { get; internal set; }

    /// <summary>True when no fork was seen for this process: its parent is what a record claimed.</summary>
    public bool Adopted { get; internal set; }

    /// <summary>Where this process belongs: a build step, a container, an engine. Inherited at fork.</summary>
    public ExecutionScope? Scope { get; internal set; }

    /// <summary>What children get; differs from <see cref="Scope"/> for a runc that starts a step.</summary>
    public ExecutionScope? ScopeForChildren { get; internal set; }

    /// <summary>Changes with every program the process runs.</summary>
    internal int Version { get; private set; }

    /// <summary>An earlier incarnation of the same pid, still inside its grace period.</summary>
    internal ProcessNode? Previous { get; set; }

    public ReadOnlySpan<byte> Exe => Current.Exe;

    /// <summary>Arguments, each ended by NUL.</summary>
    public ReadOnlySpan<byte> Arguments => Current.Arguments;

    public ReadOnlySpan<byte> Cwd => Current.Cwd;

    private Program Current => ProgramAt(long.MaxValue);

    /// <summary>The program's arguments as text; lossy where they are not UTF-8.</summary>
    public IReadOnlyList<string> ArgumentList() => ArgumentList(long.MaxValue);

    internal IReadOnlyList<string> ArgumentList(long wall)
    {
        ReadOnlySpan<byte> arguments = ArgumentsAt(wall);
        return arguments.IsEmpty ? [] : Encoding.UTF8.GetString(arguments.TrimEnd((byte)0)).Split('\0');
    }

    public string ExeText => ExeTextAt(long.MaxValue);

    internal string ExeTextAt(long wall) => Encoding.UTF8.GetString(ProgramAt(wall).Exe);

    internal string CwdTextAt(long wall) => Encoding.UTF8.GetString(ProgramAt(wall).Cwd);

    /// <summary>Arguments of the program that ran at a moment, wall clock.</summary>
    internal ReadOnlySpan<byte> ArgumentsAt(long wall) => ProgramAt(wall).Arguments;

    /// <param name="wall">When the program began, as the record says (tick granularity).</param>
    internal void SetProgram(long wall, ReadOnlySpan<byte> exe, ReadOnlySpan<byte> arguments, ReadOnlySpan<byte> cwd)
    {
        var program = new Program(wall, exe.ToArray(), arguments.ToArray(), cwd.IsEmpty ? Current.Cwd : cwd.ToArray());
        Version++;
        int keep = Math.Min(_programs.Length, MaximumPrograms - 1);
        _programs = [.. _programs.AsSpan(_programs.Length - keep), program];
    }

    private Program ProgramAt(long wall)
    {
        ProcessNode? node = this;

        // Bounded like every walk over parents: data that contradicts itself must not hang us.
        for (int i = 0; node is not null && i < 1000; i++)
        {
            for (int p = node._programs.Length - 1; p >= 0; p--)
            {
                if (node._programs[p].Wall <= wall)
                {
                    return node._programs[p];
                }
            }

            wall = Math.Min(wall, node.Started.Wall);
            node = node.Parent;
        }

        return Program.None;
    }

    private sealed record Program(long Wall, byte[] Exe, byte[] Arguments, byte[] Cwd)
    {
        public static Program None { get; } = new(0, [], [], []);
    }
}
