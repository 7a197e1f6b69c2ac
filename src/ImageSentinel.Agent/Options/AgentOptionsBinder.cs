using System.Collections.Immutable;
using ImageSentinel.Agent.Uplink;

namespace ImageSentinel.Agent.Options;

/// <summary>Makes <see cref="AgentOptions"/> of a merged tree, and checks what only several keys together can tell.</summary>
internal static class AgentOptionsBinder
{
    public static AgentOptions Bind(ConfigMap tree, List<ConfigurationError> errors)
    {
        var root = new SectionReader(tree, "", AgentSchema.Root.Members, errors);
        return new AgentOptions
        {
            StateDirectory = root.Get(AgentSchema.StateDirectory)!,
            ControlSocket = ControlSocket(root),
            Engines = Engines(root),
            Policy = Policy(root.Section(AgentSchema.Policy)),
            Baseline = Baseline(root.Section(AgentSchema.Baseline)),
            Indicators = root.GetList(AgentSchema.Indicators),
            Outputs = Outputs(root.Section(AgentSchema.Outputs)),
            Sensors = Sensors(root.Section(AgentSchema.Sensors)),
        };
    }

    private static string ControlSocket(SectionReader root)
    {
        // sockaddr_un.sun_path holds 108 bytes with its terminating zero (unix(7)).
        const int LongestPath = 107;
        string path = root.Get(AgentSchema.ControlSocket)!;
        int bytes = System.Text.Encoding.UTF8.GetByteCount(path);
        if (bytes > LongestPath)
        {
            root.Complain(AgentSchema.ControlSocket, $"{bytes} bytes are too long for a Unix socket; use at most {LongestPath}");
        }

        return path;
    }

    private static ImmutableArray<EngineOptions> Engines(SectionReader root)
    {
        ImmutableArray<EngineOptions>? written = root.GetSections(AgentSchema.Engines, engine =>
        {
            string? socket = engine.GetOptional(AgentSchema.EngineSocket);
            if (!engine.Has(AgentSchema.EngineSocket))
            {
                engine.Complain(AgentSchema.EngineSocket, "is missing; name the engine's socket, such as /run/docker.sock");
            }

            return socket is null ? null : new EngineOptions(socket, engine.GetOptional(AgentSchema.EngineDataRoot));
        });

        if (written is null)
        {
            return [new EngineOptions("/run/docker.sock", null)];
        }

        if (root.IsEmptyList(AgentSchema.Engines))
        {
            root.Complain(AgentSchema.Engines, "names no engine; list at least one {socket: …}, or leave the key out for /run/docker.sock");
        }

        foreach (IGrouping<string, EngineOptions> same in written.Value.GroupBy(engine => engine.Socket).Where(group => group.Count() > 1))
        {
            root.Complain(AgentSchema.Engines, $"{same.Key} is listed {same.Count()} times; keep one");
        }

        return written.Value;
    }

    private static PolicyOptions Policy(SectionReader policy) => new()
    {
        TrustedClients = policy.GetSections(AgentSchema.TrustedClients, TrustedClient) ?? [],
        RegistryAllowList = policy.GetList(AgentSchema.RegistryAllowList),
        NewImageThreshold = (int)policy.Get(AgentSchema.NewImageThreshold),
        TimeWindow = policy.Get(AgentSchema.TimeWindow),
        AllowedDestinations = policy.GetSections(AgentSchema.AllowedDestinations, AllowedDestination) ?? [],
    };

    private static TrustedClient? TrustedClient(SectionReader client)
    {
        Setting[] keys = [AgentSchema.ClientUser, AgentSchema.ClientUid, AgentSchema.ClientExe, AgentSchema.ClientRemote, AgentSchema.ClientTlsName, AgentSchema.ClientImage];
        if (!keys.Any(client.Has))
        {
            // An entry without a condition would match everybody, which nobody writes on purpose.
            client.Complain(AgentSchema.ClientUser, $"an entry needs at least one of {string.Join(", ", keys.Select(key => key.Key))}");
            return null;
        }

        return new TrustedClient
        {
            User = client.GetOptional(AgentSchema.ClientUser),
            Uid = (uint?)client.GetOptional(AgentSchema.ClientUid),
            Exe = client.GetOptional(AgentSchema.ClientExe),
            Remote = client.GetOptional(AgentSchema.ClientRemote),
            TlsCommonName = client.GetOptional(AgentSchema.ClientTlsName),
            ContainerImage = client.GetOptional(AgentSchema.ClientImage),
        };
    }

    private static AllowedDestination? AllowedDestination(SectionReader entry)
    {
        if (!entry.Has(AgentSchema.AllowedTo))
        {
            entry.Complain(AgentSchema.AllowedTo, "is missing; write an address, CIDR, name or *.suffix");
        }

        return entry.Get(AgentSchema.AllowedTo) is not { } to
            ? null
            : new AllowedDestination(
                to,
                (ushort?)entry.GetOptional(AgentSchema.AllowedPort),
                entry.GetOptional(AgentSchema.AllowedProtocol),
                entry.GetOptional(AgentSchema.AllowedReason) ?? "",
                entry.GetOptional(AgentSchema.AllowedExpires));
    }

    private static BaselineOptions Baseline(SectionReader baseline)
        => new(baseline.Get(AgentSchema.Mode), baseline.Get(AgentSchema.LearnFor));

    private static OutputOptions Outputs(SectionReader outputs)
    {
        SectionReader collector = outputs.Section(AgentSchema.Collector);
        var options = new CollectorOptions(
            collector.Get(AgentSchema.CollectorUrl),
            collector.Get(AgentSchema.CollectorAuthority)!,
            collector.Get(AgentSchema.CollectorCertificate)!,
            collector.Get(AgentSchema.CollectorKey)!,
            collector.Get(AgentSchema.SpoolLimit));

        if ((options.Certificate.Length == 0) != (options.Key.Length == 0))
        {
            ValueSetting<string> missing = options.Key.Length == 0 ? AgentSchema.CollectorKey : AgentSchema.CollectorCertificate;
            collector.Complain(missing, "is missing; cert and key go together, or leave out both");
        }

        if (options.Url is { Scheme: "http" } && (options.Authority.Length > 0 || options.Certificate.Length > 0))
        {
            collector.Complain(AgentSchema.CollectorUrl, "is plain http, so ca and cert would not be used; write https://");
        }

        if (options.Url is { } url && UplinkOptions.ProblemOf(url) is { } problem)
        {
            collector.Complain(AgentSchema.CollectorUrl, problem);
        }

        return new OutputOptions
        {
            Journald = outputs.Get(AgentSchema.Journald),
            JsonLines = outputs.Get(AgentSchema.JsonLines)!,
            Collector = options,
        };
    }

    private static SensorOptions Sensors(SectionReader sensors) => new(
        sensors.Get(AgentSchema.Audit),
        sensors.Get(AgentSchema.Fanotify),
        sensors.Get(AgentSchema.Processes),
        sensors.Get(AgentSchema.Conntrack),
        sensors.Get(AgentSchema.Names),
        sensors.Get(AgentSchema.Bpf),
        sensors.Get(AgentSchema.History));
}
