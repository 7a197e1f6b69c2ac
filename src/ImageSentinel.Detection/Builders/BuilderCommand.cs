using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Builders;

/// <summary>What a program that builds without a daemon was told to do.</summary>
public enum BuilderAct
{
    /// <summary>A whole build from a Dockerfile: <c>buildah build</c>, <c>podman build</c>, kaniko's executor.</summary>
    Build,

    /// <summary>One move of a build that a script makes by hand: <c>buildah from</c>, <c>run</c>, <c>copy</c>, <c>config</c>.</summary>
    Part,

    /// <summary>The last move: <c>buildah commit</c>.</summary>
    Commit,
}

/// <summary>The command line of a builder that needs no daemon. It opens the record; steps are recognised by what runs
/// below, so a renamed program is seen as soon as it executes an instruction.</summary>
/// <param name="Builder">What kind of builder it is.</param>
/// <param name="Request">Tags, Dockerfile and context, in the form that engine clients' commands have.</param>
/// <param name="StorageRoot">Given with <c>--root</c>; empty for the default place.</param>
/// <param name="BaseImage"><c>buildah from IMAGE</c>; else empty.</param>
public sealed record BuilderCommand(Builder Builder, BuilderAct Act, ClientCommand Request, string StorageRoot, string BaseImage)
{
    // Global options of buildah(1) and podman(1) that take a value as the next word.
    private static readonly HashSet<string> OptionsWithValue = new(StringComparer.Ordinal)
    {
        "--root", "--runroot", "--storage-driver", "--storage-opt", "--log-level", "--registries-conf", "--registries-conf-dir",
        "--cgroup-manager", "--userns-uid-map", "--userns-gid-map", "--default-mounts-file", "--short-name-alias-conf", "--conmon",
        "--network-cmd-path", "--network-config-dir", "--runtime", "--runtime-flag", "--tmpdir", "--events-backend", "--hooks-dir",
        "--imagestore", "--namespace", "--volumepath", "--module", "--out", "--identity", "--ssh",
    };

    // Somebody else builds then: the podman service that is asked.
    private static readonly HashSet<string> RemoteOptions = new(StringComparer.Ordinal) { "-r", "--remote", "--url", "-c", "--connection" };

    /// <summary>False for nearly every program, without reading more than its name and a few words. NUL-separated arguments.</summary>
    public static bool MayBe(ReadOnlySpan<byte> arguments, bool inContainer)
    {
        int end = arguments.IndexOf((byte)0);
        ReadOnlySpan<byte> name = end < 0 ? arguments : arguments[..end];
        name = name[(name.LastIndexOf((byte)'/') + 1)..];
        return name.SequenceEqual("buildah"u8) || name.SequenceEqual("podman"u8)
            || (inContainer && (arguments.IndexOf("\0--destination"u8) > 0 || arguments.IndexOf("\0-d\0"u8) > 0 || arguments.IndexOf("\0--no-push"u8) > 0));
    }

    /// <returns>Null when the command builds nothing here.</returns>
    public static BuilderCommand? Parse(IReadOnlyList<string> arguments, bool inContainer)
    {
        if (arguments.Count == 0)
        {
            return null;
        }

        string program = arguments[0][(arguments[0].LastIndexOf('/') + 1)..];
        return program switch
        {
            "buildah" or "podman" => Containers(arguments, program),
            _ => inContainer ? Executor(arguments) : null,
        };
    }

    private static BuilderCommand? Containers(IReadOnlyList<string> arguments, string program)
    {
        string root = "";
        int i = 1;
        for (; i < arguments.Count && arguments[i].StartsWith('-'); i++)
        {
            string word = arguments[i];
            if (RemoteOptions.Contains(word) || word.StartsWith("--url=", StringComparison.Ordinal)
                || word.StartsWith("--connection=", StringComparison.Ordinal) || word == "--remote=true")
            {
                return null;
            }

            if (word.StartsWith("--root=", StringComparison.Ordinal))
            {
                root = word["--root=".Length..];
            }
            else if (OptionsWithValue.Contains(word) && i + 1 < arguments.Count)
            {
                root = word == "--root" ? arguments[i + 1] : root;
                i++;
            }
        }

        if (program == "podman" && i < arguments.Count && arguments[i] is "image" or "buildx" or "builder")
        {
            i++;
        }

        string verb = i < arguments.Count ? arguments[i] : "";
        bool buildah = program == "buildah";
        if (verb == "build" || (buildah && verb is "bud" or "build-using-dockerfile"))
        {
            return new BuilderCommand(Builder.Buildah, BuilderAct.Build, ClientCommand.Parse(["docker", "build", .. arguments.Skip(i + 1)]), root, "");
        }

        return !buildah ? null : verb switch
        {
            "commit" => new BuilderCommand(Builder.Buildah, BuilderAct.Commit, Committed(arguments[^1]), root, ""),
            "from" => new BuilderCommand(Builder.Buildah, BuilderAct.Part, ClientCommand.Unknown, root, arguments[^1]),
            "run" or "copy" or "add" or "config" => new BuilderCommand(Builder.Buildah, BuilderAct.Part, ClientCommand.Unknown, root, ""),
            _ => null,
        };
    }

    private static ClientCommand Committed(string image)
        => new(ClientIntent.Build, image.StartsWith('-') ? [] : [ClientCommand.Canonical(image)], "", "");

    // kaniko and what works like it: a context or Dockerfile on one side, a destination (or none, expressly) on the other.
    private static BuilderCommand? Executor(IReadOnlyList<string> arguments)
    {
        var tags = new List<string>();
        string file = "";
        string context = "";
        bool target = false;
        for (int i = 1; i < arguments.Count; i++)
        {
            string word = arguments[i];
            int equals = word.StartsWith("--", StringComparison.Ordinal) ? word.IndexOf('=') : -1;
            string name = equals < 0 ? word : word[..equals];
            string Value() => equals >= 0 ? word[(equals + 1)..] : ++i < arguments.Count ? arguments[i] : "";
            switch (name)
            {
                case "--destination" or "-d":
                    tags.Add(ClientCommand.Canonical(Value()));
                    target = true;
                    break;
                case "--no-push":
                    target = true;
                    break;
                case "--tar-path" or "--tarPath":
                    _ = Value();
                    target = true;
                    break;
                case "--dockerfile" or "-f":
                    file = Value();
                    break;
                case "--context" or "-c":
                    context = Value();
                    break;
            }
        }

        return target && (file.Length > 0 || context.Length > 0)
            ? new BuilderCommand(Builder.Kaniko, BuilderAct.Build, new ClientCommand(ClientIntent.Build, tags, file, context), "", "")
            : null;
    }
}
