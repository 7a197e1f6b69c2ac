using NUnit.Framework;
using NUnit.Framework.Interfaces;
using NUnit.Framework.Internal;

namespace ImageSentinel.Tests.Support;

/// <summary>A test that needs something of the machine. Absent, it is skipped and the message names the command that
/// would help; named in IMAGESENTINEL_REQUIRE (root,docker,audit,cc …), its absence is a failure.</summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method, AllowMultiple = false)]
public abstract class RequirementAttribute(string name) : NUnitAttribute, IApplyToTest
{
    /// <summary>Null when the machine has it; else what is missing and what to do.</summary>
    protected abstract string? Missing();

    public void ApplyToTest(Test test)
    {
        ArgumentNullException.ThrowIfNull(test);
        if (test.RunState == RunState.NotRunnable || Missing() is not { } missing)
        {
            return;
        }

        if (IsRequired(name))
        {
            // A skipped test would look like a passed one to whoever asked for it.
            test.MakeInvalid($"IMAGESENTINEL_REQUIRE={name}, but {missing}");
        }
        else
        {
            test.RunState = RunState.Ignored;
            test.Properties.Set(PropertyNames.SkipReason, missing);
        }
    }

    private static bool IsRequired(string name)
        => (Environment.GetEnvironmentVariable("IMAGESENTINEL_REQUIRE") ?? "")
            .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Contains(name, StringComparer.OrdinalIgnoreCase);
}

/// <summary>Needs uid 0.</summary>
public sealed class RequiresRootAttribute() : RequirementAttribute("root")
{
    protected override string? Missing()
        => Environment.UserName == "root" ? null : "this test needs root: sudo ./build.sh test";
}

/// <summary>Needs root, a kernel with audit that answers us, and rules that are not locked.</summary>
public sealed class RequiresAuditAttribute() : RequirementAttribute("audit")
{
    private static readonly Lazy<string?> s_missing = new(Probe);

    protected override string? Missing() => s_missing.Value;

    private static string? Probe()
    {
        if (Environment.UserName != "root")
        {
            return "this test needs root for the kernel's audit: sudo ./build.sh test";
        }

        try
        {
            using var control = ImageSentinel.Sensors.Audit.AuditControl.Open();
            return control.GetStatus().Enabled == 2 ? "audit is locked (auditctl -e 2) until reboot" : null;
        }
        catch (ImageSentinel.Interop.LinuxException e)
        {
            return $"the kernel's audit does not answer here ({e.Message}); run in the host's namespaces";
        }
    }
}

/// <summary>Needs root and Docker's programs; the test starts its own daemon.</summary>
public sealed class RequiresDockerAttribute() : RequirementAttribute("docker")
{
    protected override string? Missing()
    {
        if (Environment.UserName != "root")
        {
            return "this test needs root to start its own dockerd: sudo ./build.sh test";
        }

        return Programs.Find("dockerd") is not null && Programs.Find("docker") is not null
            ? null
            : "this test needs dockerd and docker: apt-get install docker.io";
    }
}

/// <summary>Needs a C compiler and the kernel's user-space headers.</summary>
public sealed class RequiresCompilerAttribute() : RequirementAttribute("cc")
{
    protected override string? Missing()
        => Programs.Find("cc") is not null ? null : "this test needs a C compiler: apt-get install gcc libc6-dev linux-libc-dev";
}

/// <summary>Finds programs the way a shell does.</summary>
public static class Programs
{
    public static string? Find(string name)
        => (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Append("/usr/sbin")
            .Append("/sbin")
            .Select(directory => Path.Combine(directory, name))
            .FirstOrDefault(File.Exists);
}
