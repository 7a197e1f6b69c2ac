namespace ImageSentinel.Detection.Clients;

public enum ClientIntent
{
    /// <summary>Nothing in the command line says what is asked.</summary>
    Unknown,

    Build,

    /// <summary>A known command that does not build. A hint only: a process may call itself anything.</summary>
    Other,
}

/// <summary>What a client's command line says it asks of the engine. A witness among others, never the only one.</summary>
/// <param name="Tags">Names given with <c>-t</c>.</param>
/// <param name="File">Dockerfile given with <c>-f</c>; empty for the default.</param>
/// <param name="Context">The context argument; empty when there is none.</param>
public sealed record ClientCommand(ClientIntent Intent, IReadOnlyList<string> Tags, string File, string Context)
{
    /// <summary>The sub-command as typed ("build", "commit", "load" …); empty when there is none.</summary>
    public string Verb { get; init; } = "";

    public static ClientCommand Unknown { get; } = new(ClientIntent.Unknown, [], "", "");

    private static readonly HashSet<string> OptionsWithValue = new(StringComparer.Ordinal)
    {
        "-H", "--host", "--config", "-c", "--context", "-l", "--log-level", "--tlscacert", "--tlscert", "--tlskey",
    };

    // Options between "buildx" or "compose" and their own command.
    private static readonly HashSet<string> GroupOptionsWithValue = new(StringComparer.Ordinal)
    {
        "--builder", "-f", "--file", "-p", "--project-name", "--project-directory", "--env-file", "--profile", "--progress",
        "--ansi", "--parallel",
    };

    // Options of "build" that take a value as the next word; the rest are switches or use '='.
    private static readonly HashSet<string> BuildOptionsWithValue = new(StringComparer.Ordinal)
    {
        "-t", "--tag", "-f", "--file", "--build-arg", "--label", "--network", "--target", "--platform", "--cache-from",
        "--cache-to", "--add-host", "--cgroup-parent", "--cpu-period", "--cpu-quota", "-c", "--cpu-shares", "--cpuset-cpus",
        "--cpuset-mems", "--iidfile", "--isolation", "-m", "--memory", "--memory-swap", "-o", "--output", "--progress",
        "--secret", "--security-opt", "--shm-size", "--ssh", "--ulimit", "--allow", "--attest", "--build-context",
        "--builder", "--metadata-file", "--no-cache-filter", "--annotation", "--call", "--sbom", "--provenance",
    };

    public static ClientCommand Parse(IReadOnlyList<string> arguments)
    {
        if (arguments.Count == 0)
        {
            return Unknown;
        }

        string program = arguments[0][(arguments[0].LastIndexOf('/') + 1)..];
        return program switch
        {
            "docker" or "docker-buildx" or "podman" => Docker(arguments, program),
            "docker-compose" => new ClientCommand(
                arguments.Any(static a => a is "build" or "up" or "run") ? ClientIntent.Build : ClientIntent.Other, [], "", ""),
            "curl" or "wget" => Http(arguments),
            _ => Unknown,
        };
    }

    private static ClientCommand Docker(IReadOnlyList<string> arguments, string program)
    {
        int i = SkipOptions(arguments, 1, OptionsWithValue);
        string verb = i < arguments.Count ? arguments[i] : "";
        if (verb is "image" or "builder" or "buildx" or "compose" || (program == "docker-buildx" && verb == "buildx"))
        {
            bool compose = verb == "compose";
            i = SkipOptions(arguments, i + 1, GroupOptionsWithValue);
            verb = i < arguments.Count ? arguments[i] : "";
            if (compose && verb is "build" or "up" or "run")
            {
                return new ClientCommand(ClientIntent.Build, [], "", "");
            }
        }

        return verb switch
        {
            "build" or "b" => Build(arguments, i + 1),
            "bake" => new ClientCommand(ClientIntent.Build, [], "", ""),
            "" => Unknown,
            _ => new ClientCommand(ClientIntent.Other, [], "", "") { Verb = verb },
        };
    }

    private static ClientCommand Build(IReadOnlyList<string> arguments, int i)
    {
        var tags = new List<string>();
        string file = "";
        string context = "";
        for (; i < arguments.Count; i++)
        {
            string word = arguments[i];
            (string name, string value) = Split(arguments, ref i, word);
            switch (name)
            {
                case "-t" or "--tag":
                    tags.Add(Canonical(value));
                    break;
                case "-f" or "--file":
                    file = value;
                    break;
                case "":
                    context = value;
                    break;
            }
        }

        return new ClientCommand(ClientIntent.Build, tags, file, context);
    }

    private static (string Name, string Value) Split(IReadOnlyList<string> arguments, ref int i, string word)
    {
        if (word.Length < 2 || word[0] != '-')
        {
            return ("", word);
        }

        int equals = word.IndexOf('=');
        if (word.StartsWith("--", StringComparison.Ordinal) && equals > 0)
        {
            return (word[..equals], word[(equals + 1)..]);
        }

        if (BuildOptionsWithValue.Contains(word))
        {
            string value = i + 1 < arguments.Count ? arguments[i + 1] : "";
            i++;
            return (word, value);
        }

        // "-tname" and "-fpath".
        return word.Length > 2 && word[1] is 't' or 'f' && word[1] != '-' ? (word[..2], word[2..].TrimStart('=')) : (word, "");
    }

    private static int SkipOptions(IReadOnlyList<string> arguments, int i, HashSet<string> withValue)
    {
        while (i < arguments.Count && arguments[i].StartsWith('-'))
        {
            i += withValue.Contains(arguments[i]) ? 2 : 1;
        }

        return i;
    }

    private static ClientCommand Http(IReadOnlyList<string> arguments)
    {
        foreach (string argument in arguments)
        {
            int at = argument.IndexOf("/build", StringComparison.Ordinal);
            if (at >= 0 && (at + 6 == argument.Length || argument[at + 6] == '?'))
            {
                return new ClientCommand(ClientIntent.Build, TagsOf(argument[(at + 6)..]), "", "-");
            }
        }

        return Unknown;
    }

    private static List<string> TagsOf(string query)
    {
        var tags = new List<string>();
        foreach (string pair in query.TrimStart('?').Split('&'))
        {
            if (pair.StartsWith("t=", StringComparison.Ordinal))
            {
                tags.Add(Canonical(Uri.UnescapeDataString(pair[2..])));
            }
        }

        return tags;
    }

    /// <summary>A reference as the engine stores it: with <c>:latest</c> when it names neither tag nor digest.</summary>
    public static string Canonical(string reference)
    {
        int slash = reference.LastIndexOf('/');
        return reference.Length == 0 || reference.IndexOf(':', slash + 1) >= 0 || reference.Contains('@', StringComparison.Ordinal)
            ? reference
            : reference + ":latest";
    }
}
