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

    /// <summary>Verb of <c>docker system dial-stdio</c>: what <c>docker -H ssh://</c> runs at the far end. It carries
    /// somebody else's requests, any of them.</summary>
    public const string Relay = "dial-stdio";

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

        if ((verb == "system" && i + 1 < arguments.Count && arguments[i + 1] == Relay) || verb == Relay)
        {
            return Unknown with { Verb = Relay };
        }

        return verb switch
        {
            "build" or "b" => Build(arguments, i + 1),
            "bake" => new ClientCommand(ClientIntent.Build, [], "", ""),
            "" => Unknown,
            // docker commit CONTAINER NAME, docker import FILE NAME: the name comes last.
            "commit" or "import" when arguments.Count > i + 2 && !arguments[^1].StartsWith('-') && arguments[^1] != "-" =>
                new ClientCommand(ClientIntent.Other, [Canonical(arguments[^1])], "", "") { Verb = verb },
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

    // Requests that make no image, by the end of their path. Anything else a URL may ask stays unknown.
    private static readonly HashSet<string> HarmlessEnds = new(StringComparer.Ordinal) { "info", "events", "_ping", "version", "json", "df", "stats", "logs" };

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

        string[] urls = [.. arguments.Where(static a => a.StartsWith("http://", StringComparison.Ordinal) || a.StartsWith("https://", StringComparison.Ordinal))];
        string verb = urls.Select(VerbOf).FirstOrDefault(static v => v.Length > 0) ?? "";
        if (verb.Length > 0)
        {
            return new ClientCommand(ClientIntent.Other, [], "", "") { Verb = verb };
        }

        // A configuration file may name more URLs.
        bool all = urls.Length > 0 && urls.All(static u => HarmlessEnds.Contains(PathOf(u)[(PathOf(u).LastIndexOf('/') + 1)..]))
            && !arguments.Any(static a => a is "-K" or "--config" || a.StartsWith("--config=", StringComparison.Ordinal));
        return all ? new ClientCommand(ClientIntent.Other, [], "", "") { Verb = "query" } : Unknown;
    }

    /// <summary>What a request asks for, by its target. BuildKit's own calls inside /grpc are not to be seen.</summary>
    public static ClientCommand OfRequest(string target)
    {
        ArgumentNullException.ThrowIfNull(target);
        string path = PathOf(target);
        return path[(path.LastIndexOf('/') + 1)..] switch
        {
            "build" => new ClientCommand(ClientIntent.Build, TagsOf(target[path.Length..].TrimStart('/')), "", "-"),
            "grpc" or "session" => new ClientCommand(ClientIntent.Build, [], "", "-"),
            _ when VerbOf(target) is { Length: > 0 } verb => new ClientCommand(ClientIntent.Other, [], "", "") { Verb = verb },
            _ => Unknown,
        };
    }

    private static string VerbOf(string url) => PathOf(url) switch
    {
        var p when p.EndsWith("/commit", StringComparison.Ordinal) => "commit",
        var p when p.EndsWith("/images/load", StringComparison.Ordinal) => "load",
        var p when p.EndsWith("/images/create", StringComparison.Ordinal) && url.Contains("fromSrc=", StringComparison.Ordinal) => "import",
        _ => "",
    };

    private static string PathOf(string url)
    {
        int query = url.IndexOf('?', StringComparison.Ordinal);
        return (query < 0 ? url : url[..query]).TrimEnd('/');
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
