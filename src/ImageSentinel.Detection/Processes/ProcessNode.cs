using System.Text;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Processes;

/// <summary>One incarnation of a pid, kept while it lives and for a grace period after, since audit records arrive late.</summary>
public sealed class ProcessNode
{
    private byte[] _exe = [];
    private byte[] _arguments = [];
    private byte[] _cwd = [];

    internal ProcessNode(ProcessKey key, Stamp started, ProcessNode? parent)
    {
        Key = key;
        Started = started;
        Parent = parent;
        Scope = parent?.ScopeForChildren;
        ScopeForChildren = Scope;
        InheritFrom(parent);
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

    /// <summary>An earlier incarnation of the same pid, still inside its grace period.</summary>
    internal ProcessNode? Previous { get; set; }

    public ReadOnlySpan<byte> Exe => _exe;

    /// <summary>Arguments, each ended by NUL.</summary>
    public ReadOnlySpan<byte> Arguments => _arguments;

    public ReadOnlySpan<byte> Cwd => _cwd;

    public string ExeText => Encoding.UTF8.GetString(_exe);

    public string CwdText => Encoding.UTF8.GetString(_cwd);

    /// <summary>The program's arguments as text; lossy where they are not UTF-8.</summary>
    public IReadOnlyList<string> ArgumentList()
    {
        if (_arguments.Length == 0)
        {
            return [];
        }

        string all = Encoding.UTF8.GetString(_arguments.AsSpan().TrimEnd((byte)0));
        return all.Split('\0');
    }

    internal void SetProgram(ReadOnlySpan<byte> exe, ReadOnlySpan<byte> arguments, ReadOnlySpan<byte> cwd)
    {
        _exe = exe.SequenceEqual(_exe) ? _exe : exe.ToArray();
        _arguments = arguments.SequenceEqual(_arguments) ? _arguments : arguments.ToArray();
        _cwd = cwd.IsEmpty || cwd.SequenceEqual(_cwd) ? _cwd : cwd.ToArray();
    }

    private void InheritFrom(ProcessNode? parent)
    {
        if (parent is null)
        {
            return;
        }

        _exe = parent._exe;
        _arguments = parent._arguments;
        _cwd = parent._cwd;
        Uid = parent.Uid;
        Gid = parent.Gid;
        LoginUid = parent.LoginUid;
        Session = parent.Session;
    }
}
