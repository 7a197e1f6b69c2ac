using System.Globalization;

namespace ImageSentinel.Lab.Harness;

/// <summary>The lab of <c>tests/lab</c>: a real engine and the world outside it.</summary>
internal static class LabHost
{
    private static readonly string _script = Path.Combine(Repository.Root, "tests", "lab", "lab");

    /// <summary>Engines that the scenarios run on. <c>IMAGESENTINEL_LAB_ENGINES</c> names others.</summary>
    public static string[] Engines { get; } =
        (Environment.GetEnvironmentVariable("IMAGESENTINEL_LAB_ENGINES") is { Length: > 0 } given ? given : "system")
            .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    /// <summary>Until this process ends, nobody else's scenarios run on the lab's engines.</summary>
    public static void Reserve()
    {
        string self = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        Environment.SetEnvironmentVariable("IMAGESENTINEL_LAB_RUN", self);
        Must("reserve", self);
    }

    public static void Up(string engine) => Must("up", "--engine", engine);

    /// <summary>Lets an engine listen over TCP: "tcp" plain, "tls" with client certificates. It starts anew for it.</summary>
    public static void Listen(string engine, string how) => Must("up", "--engine", engine, "--" + how);

    public static void Down() => Must("down");

    public static bool IsUp => Tool.Run(_script, "env").ExitCode == 0;

    /// <summary>The lab's own description of an engine: LAB_SOCKET, LAB_DATA_ROOT, LAB_DEBIAN and so on.</summary>
    public static Dictionary<string, string> Describe(string engine)
        => Must("env", "--engine", engine).Output
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split('=', 2))
            .ToDictionary(pair => pair[0], pair => pair[1].Trim('\''));

    public static Attack Attack(string scenario, string engine, string builder)
    {
        Attack attack = Harness.Attack.Next(scenario, engine, builder);
        Run(attack);
        return attack;
    }

    public static void Run(Attack attack)
    {
        ToolResult result = Tool.Run(
            _script, "attack", attack.Scenario, "--engine", attack.Engine, "--builder", attack.Builder, "--to", attack.Address,
            "--to6", attack.Address6, "--silent", attack.SilentAddress, "--tag", attack.Tag);
        Assert.That(result.ExitCode, Is.Zero, $"the scenario itself did not happen:\n{result.All}");
    }

    public static string Docker(string engine, params string[] arguments)
        => Must(["docker", "--engine", engine, .. arguments]).Output.Trim();

    private static ToolResult Must(params string[] arguments)
    {
        ToolResult result = Tool.Run(_script, arguments);
        return result.ExitCode == 0
            ? result
            : throw new InvalidOperationException($"lab {string.Join(' ', arguments)}: status {result.ExitCode}\n{result.All}");
    }
}
