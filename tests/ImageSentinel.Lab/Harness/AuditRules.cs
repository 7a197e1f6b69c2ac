namespace ImageSentinel.Lab.Harness;

/// <summary>The kernel's audit rules as a program of the lab lists them, independently of our own code.</summary>
internal static class AuditRules
{
    public static string[] List()
    {
        ToolResult result = Tool.Run("/usr/bin/python3", Path.Combine(Repository.Root, "tests", "lab", "audit-rules"));
        Assert.That(result.ExitCode, Is.Zero, result.All);
        return result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
