namespace ImageSentinel.Detection.Builds;

/// <summary>What a runc-like runtime was told to do, from its arguments.</summary>
/// <remarks>Facts: both engines call <c>runc [global options] VERB [--bundle DIR] … ID</c>; measured on 20.10 and 26.1.</remarks>
public readonly ref struct RuncCommand
{
    private RuncCommand(RuncVerb verb, ReadOnlySpan<byte> bundle, ReadOnlySpan<byte> id)
    {
        Verb = verb;
        Bundle = bundle;
        Id = id;
    }

    public RuncVerb Verb { get; }

    public ReadOnlySpan<byte> Bundle { get; }

    /// <summary>The container id: the first argument that is neither option nor option value, behind the verb.</summary>
    public ReadOnlySpan<byte> Id { get; }

    /// <summary>Reads NUL-separated arguments; false when they are not a runtime's.</summary>
    public static bool TryParse(ReadOnlySpan<byte> arguments, out RuncCommand command)
    {
        command = default;
        if (!IsRuntime(Take(ref arguments)))
        {
            return false;
        }

        RuncVerb verb = RuncVerb.None;
        ReadOnlySpan<byte> bundle = default;
        ReadOnlySpan<byte> id = default;
        while (!arguments.IsEmpty)
        {
            ReadOnlySpan<byte> word = Take(ref arguments);
            if (word.IsEmpty)
            {
                continue;
            }

            if (word[0] == (byte)'-')
            {
                if (word.SequenceEqual("--bundle"u8) || word.SequenceEqual("-b"u8))
                {
                    bundle = Take(ref arguments);
                }
                else if (word.StartsWith("--bundle="u8))
                {
                    bundle = word["--bundle="u8.Length..];
                }
                else if (TakesValue(word))
                {
                    _ = Take(ref arguments);
                }
            }
            else if (verb == RuncVerb.None)
            {
                verb = VerbOf(word);
                if (verb == RuncVerb.None)
                {
                    return false;
                }
            }
            else if (id.IsEmpty)
            {
                id = word;
            }
        }

        command = new RuncCommand(verb, bundle, id);
        return verb != RuncVerb.None;
    }

    private static bool IsRuntime(ReadOnlySpan<byte> name)
    {
        int slash = name.LastIndexOf((byte)'/');
        name = name[(slash + 1)..];
        return name.SequenceEqual("runc"u8)
            || name.SequenceEqual("crun"u8)
            || name.SequenceEqual("youki"u8)
            || name.SequenceEqual("buildkit-runc"u8)
            || name.SequenceEqual("docker-runc"u8);
    }

    private static RuncVerb VerbOf(ReadOnlySpan<byte> word)
        => word.SequenceEqual("run"u8) ? RuncVerb.Run
        : word.SequenceEqual("create"u8) ? RuncVerb.Create
        : word.SequenceEqual("start"u8) ? RuncVerb.Start
        : word.SequenceEqual("exec"u8) ? RuncVerb.Exec
        : word.SequenceEqual("kill"u8) ? RuncVerb.Kill
        : word.SequenceEqual("delete"u8) ? RuncVerb.Delete
        : word.SequenceEqual("init"u8) ? RuncVerb.Init
        : word.SequenceEqual("state"u8) || word.SequenceEqual("features"u8) || word.SequenceEqual("events"u8)
            || word.SequenceEqual("ps"u8) || word.SequenceEqual("update"u8) || word.SequenceEqual("pause"u8)
            || word.SequenceEqual("resume"u8) || word.SequenceEqual("list"u8) || word.SequenceEqual("spec"u8)
            ? RuncVerb.Other
        : RuncVerb.None;

    // Options with a value of their own; the others are switches or carry it behind '='.
    private static bool TakesValue(ReadOnlySpan<byte> option)
        => option.SequenceEqual("--log"u8) || option.SequenceEqual("--log-format"u8) || option.SequenceEqual("--root"u8)
        || option.SequenceEqual("--criu"u8) || option.SequenceEqual("--rootless"u8) || option.SequenceEqual("--pid-file"u8)
        || option.SequenceEqual("--console-socket"u8) || option.SequenceEqual("--preserve-fds"u8)
        || option.SequenceEqual("--process"u8) || option.SequenceEqual("-p"u8) || option.SequenceEqual("--pidfd-socket"u8)
        || option.SequenceEqual("--env"u8) || option.SequenceEqual("-e"u8) || option.SequenceEqual("--user"u8)
        || option.SequenceEqual("-u"u8) || option.SequenceEqual("--cwd"u8) || option.SequenceEqual("--cgroup-manager"u8);

    private static ReadOnlySpan<byte> Take(scoped ref ReadOnlySpan<byte> rest)
    {
        int end = rest.IndexOf((byte)0);
        ReadOnlySpan<byte> word = end < 0 ? rest : rest[..end];
        rest = end < 0 ? [] : rest[(end + 1)..];
        return word;
    }
}

public enum RuncVerb
{
    None,
    Run,
    Create,
    Start,
    Exec,
    Kill,
    Delete,
    Init,
    Other,
}
