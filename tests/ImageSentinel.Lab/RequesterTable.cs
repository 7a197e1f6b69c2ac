using ImageSentinel.V1;

namespace ImageSentinel.Lab;

/// <summary>A way to ask for a build, and how it must be told.</summary>
internal sealed record RequesterCase(string Name)
{
    /// <summary>How the engine listens besides its socket.</summary>
    public string Listener { get; init; } = "tcp";

    public required string Transport { get; init; }

    /// <summary>Where the client comes from; empty for the local socket.</summary>
    public string Address { get; init; } = "";

    /// <summary>The client's program; empty where the kernel cannot tell (another host).</summary>
    public string Exe { get; init; } = "";

    public uint Uid { get; init; }

    public bool InContainer { get; init; }

    /// <summary>Part of what its ancestors say.</summary>
    public string Origin { get; init; } = "";

    /// <summary>Of <c>build-by-unexpected-client</c>; unspecified when the client is trusted.</summary>
    public required Severity Severity { get; init; }

    /// <summary>Of <c>never-seen-egress</c>.</summary>
    public Severity Egress { get; init; } = Severity.High;

    public override string ToString() => Name;
}

/// <summary>Every way in, as rows. The scenarios themselves are in <c>tests/lab/scenarios</c>.</summary>
internal static class RequesterTable
{
    // The lab's other end of the link to the outside.
    private const string Outside = "198.18.77.2";

    public static readonly RequesterCase[] Rows =
    [
        new("remote-api") { Transport = "tcp", Address = Outside, Severity = Severity.Critical, Egress = Severity.Critical },
        new("remote-docker") { Transport = "tcp", Address = Outside, Severity = Severity.Critical, Egress = Severity.Critical },
        new("loopback-api") { Transport = "tcp", Address = "127.0.0.1", Exe = "curl", Uid = 1001, Severity = Severity.Critical, Egress = Severity.Critical },
        new("container-client") { Transport = "unix", Exe = "curl", InContainer = true, Severity = Severity.Critical, Egress = Severity.Critical },
        new("curl-socket") { Transport = "unix", Exe = "curl", Severity = Severity.Medium },
        new("remote-dockerfile") { Transport = "unix", Exe = "curl", Severity = Severity.Medium },
        new("ssh") { Transport = "unix", Exe = "docker", Origin = "SSH session", Severity = Severity.Medium },
        new("pollers-beside") { Transport = "unix", Exe = "docker", Severity = Severity.Medium },
        new("other-user") { Transport = "unix", Exe = "docker", Uid = 1000, Severity = Severity.Unspecified },
        new("remote-tls") { Listener = "tls", Transport = "tls", Address = Outside, Severity = Severity.High },
    ];

    public static IEnumerable<TestCaseData> Cases(string listener)
        => from builder in ScenarioTable.Builders
           from row in Rows
           where row.Listener == listener
           select new TestCaseData(builder, row).SetArgDisplayNames(builder, row.Name);
}
