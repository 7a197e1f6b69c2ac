using System.Diagnostics;
using System.Text.RegularExpressions;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Outputs;
using NUnit.Framework;

namespace ImageSentinel.Tests.Agent;

/// <summary>What the packages install beside the program.</summary>
public sealed partial class PackagingTests
{
    private static string Root => Path.GetFullPath(Path.Combine(AgentCorpus.Root, "..", "..", "..", "packaging"));

    private static IEnumerable<string> Units() => Directory.EnumerateFiles(Path.Combine(Root, "systemd"), "*.service").Select(file => Path.GetFileName(file));

    [TestCaseSource(nameof(Units))]
    public void A_unit_holds_up_before_systemd(string unit)
    {
        if (!File.Exists("/usr/bin/systemd-analyze"))
        {
            Assert.Ignore("needs systemd-analyze: apt-get install systemd");
        }

        string folder = Directory.CreateTempSubdirectory("imagesentinel-").FullName;
        try
        {
            // Same unit, with programs that exist on a machine where nothing is installed.
            string copy = Path.Combine(folder, unit);
            File.WriteAllText(copy, ProgramPath().Replace(File.ReadAllText(Path.Combine(Root, "systemd", unit)), "/bin/true"));

            using (Assert.EnterMultipleScope())
            {
                Assert.That(Run("systemd-analyze", "verify", "--man=no", copy), Is.EqualTo((0, "")));

                // 3.5 without the packet socket of the names sensor (CAP_NET_RAW, AF_PACKET).
                Assert.That(Run("systemd-analyze", "security", "--offline=true", "--threshold=37", copy).Code, Is.Zero);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Test]
    public void The_shipped_configuration_is_the_defaults_and_reads_when_uncommented()
    {
        string text = File.ReadAllText(Path.Combine(Root, "etc", "imagesentinel.yaml"));
        string settings = string.Join('\n', text.Split('\n').Where(line => !Prose().IsMatch(line)).Select(line => Comment().Replace(line, "$1", 1)));

        ConfigurationResult shipped = ConfigurationLoader.Parse("imagesentinel.yaml", text);
        ConfigurationResult uncommented = ConfigurationLoader.Parse("imagesentinel.yaml", settings.Replace("trusted_clients: []", "trusted_clients:").Replace("allowed_destinations: []", "allowed_destinations:"));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(shipped.Errors, Is.Empty);
            Assert.That(shipped.Options?.Baseline, Is.EqualTo(ConfigurationLoader.Defaults.Baseline));
            Assert.That(shipped.Options?.Outputs, Is.EqualTo(ConfigurationLoader.Defaults.Outputs));
            Assert.That(uncommented.Errors, Is.Empty, settings);
            Assert.That(uncommented.Options?.Outputs, Is.EqualTo(ConfigurationLoader.Defaults.Outputs));
            Assert.That(uncommented.Options?.Sensors, Is.EqualTo(ConfigurationLoader.Defaults.Sensors));
            Assert.That(uncommented.Options?.Policy.TimeWindow, Is.EqualTo(ConfigurationLoader.Defaults.Policy.TimeWindow));
            Assert.That(uncommented.Options?.Policy.TrustedClients.Length, Is.EqualTo(1));
            Assert.That(uncommented.Options?.Policy.AllowedDestinations.Length, Is.EqualTo(1));
        }
    }

    [Test]
    public void Sigma_rules_name_journal_ids_that_exist()
    {
        string[] known = [JournalIds.Finding, JournalIds.BuildEnded, .. Enum.GetValues<NoticeKind>().Select(JournalIds.Of)];
        string[] named = [.. Directory.EnumerateFiles(Path.Combine(Root, "sigma"), "*.yml").SelectMany(file => JournalId().Matches(File.ReadAllText(file))).Select(match => match.Value)];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(named, Is.Not.Empty);
            Assert.That(named, Is.SubsetOf(known));
        }
    }

    private static (int Code, string Said) Run(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program) { RedirectStandardError = true, RedirectStandardOutput = true };
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, error + output.Result);
    }

    [GeneratedRegex("/usr/bin/imagesentinel(-collector)?")]
    private static partial Regex ProgramPath();

    // A sentence begins with a capital letter or a word; a setting with "key:" or "- ".
    [GeneratedRegex("^\\s*# (?!\\s*(-|[a-z_]+:))")]
    private static partial Regex Prose();

    [GeneratedRegex("^(\\s*)# ?")]
    private static partial Regex Comment();

    [GeneratedRegex("[0-9a-f]{32}")]
    private static partial Regex JournalId();
}
