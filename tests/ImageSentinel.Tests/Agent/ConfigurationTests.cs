using System.Collections.Immutable;
using ImageSentinel.Agent.Options;
using NUnit.Framework;

namespace ImageSentinel.Tests.Agent;

public sealed class ConfigurationTests
{
    // What the documentation shows, word for word; it must stay readable.
    private static readonly string Documented = File.ReadAllText(Path.Combine(AgentCorpus.Root, "documented.yaml"));

    private string _folder = "";

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("imagesentinel-").FullName;

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    [TestCaseSource(nameof(MistakeCases))]
    public void A_mistake_is_named_with_place_key_and_remedy(string yaml, string[] expectations)
    {
        ConfigurationResult result = ConfigurationLoader.Parse("t.yaml", yaml);

        string[] errors = [.. result.Errors.Select(error => error.ToString())];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Options, Is.Null);
            Assert.That(errors, Has.Length.EqualTo(expectations.Length), string.Join('\n', errors));
        }

        foreach (string expectation in expectations)
        {
            string[] parts = expectation.Split('|', StringSplitOptions.TrimEntries);
            Assert.That(errors, Has.Some.Matches<string>(error => error is not null && parts.All(part => error.Contains(part, StringComparison.Ordinal))), $"wanted {expectation} in\n{string.Join('\n', errors)}");
        }

        Assert.That(errors, Has.All.StartsWith("t.yaml:"));
    }

    [Test]
    public void The_documented_file_reads_as_documented()
    {
        AgentOptions options = Read(Documented);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(options.Engines, Is.EqualTo(new[] { new EngineOptions("/run/docker.sock", null) }));
            Assert.That(options.Policy.TrustedClients, Is.EqualTo(new[] { new TrustedClient { User = "ci", Exe = "/usr/bin/docker" } }));
            Assert.That(options.Policy.RegistryAllowList, Is.EqualTo(new[] { "registry.corp.example", "127.0.0.1:5000" }));
            Assert.That(options.Policy.TimeWindow, Is.EqualTo(TimeSpan.FromMinutes(5)));
            Assert.That(options.Policy.AllowedDestinations, Has.Length.EqualTo(1));
            Assert.That(options.Policy.AllowedDestinations[0].To.ToString(), Is.EqualTo("*.mirror.corp.example"));
            Assert.That(options.Policy.AllowedDestinations[0].Port, Is.EqualTo(443));
            Assert.That(options.Baseline, Is.EqualTo(new BaselineOptions(BaselineMode.Learning, TimeSpan.FromDays(7))));
            Assert.That(options.Outputs.Collector.Url, Is.Null);
        }
    }

    [Test]
    public void The_documented_file_says_what_the_defaults_are()
    {
        AgentOptions documented = Read(Documented);
        AgentOptions defaults = ConfigurationLoader.Defaults;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(defaults.StateDirectory, Is.EqualTo(documented.StateDirectory));
            Assert.That(defaults.ControlSocket, Is.EqualTo(documented.ControlSocket));
            Assert.That(defaults.Engines.AsEnumerable(), Is.EqualTo(documented.Engines));
            Assert.That(defaults.Policy.NewImageThreshold, Is.EqualTo(documented.Policy.NewImageThreshold));
            Assert.That(defaults.Policy.TimeWindow, Is.EqualTo(documented.Policy.TimeWindow));
            Assert.That(defaults.Baseline, Is.EqualTo(documented.Baseline));
            Assert.That(defaults.Outputs, Is.EqualTo(documented.Outputs));
            Assert.That(defaults.Sensors, Is.EqualTo(documented.Sensors));
            Assert.That(defaults.Policy.TrustedClients, Is.Empty);
            Assert.That(defaults.Policy.RegistryAllowList, Is.Empty);
        }
    }

    [Test]
    public void An_empty_file_is_the_defaults()
        => Assert.That(Read("# nothing\n").StateDirectory, Is.EqualTo("/var/lib/imagesentinel"));

    [Test]
    public void Every_value_can_be_set()
    {
        AgentOptions options = Read("""
            policy:
                trusted_clients:
                    - {uid: 0, remote: "2001:db8::/32", tls_cn: ci.example, container_image: "ci:1"}
                    - {remote: 192.0.2.7}
                time_window: 1h30m
                allowed_destinations:
                    - {to: 203.0.113.0/24, protocol: udp, expires: 2027-03-31}
                    - {to: MIRROR.Example., expires: "2027-03-31T12:00:00+02:00"}
            baseline: {mode: enforcing, learn_for: 0s}
            indicators: [/etc/feed.txt]
            outputs:
                journald: false
                json_lines: "-"
                collector: {url: "https://collector.example:4317", ca: /ca.pem, cert: /c.pem, key: /k.pem, spool_limit: 64MiB}
            sensors: {audit: "on", conntrack: off}
            """);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(options.Policy.TrustedClients[0].Uid, Is.Zero);
            Assert.That(options.Policy.TrustedClients[0].Remote.ToString(), Is.EqualTo("2001:db8::/32"));
            Assert.That(options.Policy.TrustedClients[1].Remote.ToString(), Is.EqualTo("192.0.2.7/32"));
            Assert.That(options.Policy.TimeWindow, Is.EqualTo(TimeSpan.FromMinutes(90)));
            Assert.That(options.Policy.AllowedDestinations[0].Expires, Is.EqualTo(new DateTimeOffset(2027, 3, 31, 0, 0, 0, TimeSpan.Zero)));
            Assert.That(options.Policy.AllowedDestinations[1].To.Name, Is.EqualTo("mirror.example"));
            Assert.That(options.Policy.AllowedDestinations[1].Expires, Is.EqualTo(new DateTimeOffset(2027, 3, 31, 10, 0, 0, TimeSpan.Zero)));
            Assert.That(options.Baseline.Mode, Is.EqualTo(BaselineMode.Enforcing));
            Assert.That(options.Indicators, Is.EqualTo(new[] { "/etc/feed.txt" }));
            Assert.That(options.Outputs.JsonLines, Is.EqualTo("-"));
            Assert.That(options.Outputs.Collector.SpoolLimit, Is.EqualTo(64L << 20));
            Assert.That(options.Outputs.Collector.Url, Is.EqualTo(new Uri("https://collector.example:4317")));
            Assert.That(options.Sensors.Audit, Is.EqualTo(SensorMode.On));
            Assert.That(options.Sensors.Conntrack, Is.EqualTo(SensorMode.Off));
        }
    }

    [Test]
    public void Later_files_win_key_by_key_and_replace_lists()
    {
        Write("main.yaml", "policy: {time_window: 1m, new_image_threshold: 3, registry_allow_list: [a.example, b.example]}\n");
        Write("conf.d/10-first.yaml", "policy: {registry_allow_list: [c.example]}\nstate_dir: /first\n");
        Write("conf.d/20-second.yaml", "state_dir: /second\n");
        Write("conf.d/ignored.yml", "state_dir: /never\n");

        AgentOptions options = Load("main.yaml");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(options.Policy.TimeWindow, Is.EqualTo(TimeSpan.FromMinutes(1)));
            Assert.That(options.Policy.NewImageThreshold, Is.EqualTo(3));
            Assert.That(options.Policy.RegistryAllowList, Is.EqualTo(new[] { "c.example" }));
            Assert.That(options.StateDirectory, Is.EqualTo("/second"));
        }
    }

    [Test]
    public void The_environment_wins_over_every_file()
    {
        Write("main.yaml", "state_dir: /file\noutputs: {json_lines: /var/log/x.json}\n");

        AgentOptions options = Load(
            "main.yaml",
            ("IMAGESENTINEL__STATE_DIR", "/environment"),
            ("IMAGESENTINEL__OUTPUTS__JSON_LINES", ""),
            ("IMAGESENTINEL__OUTPUTS__COLLECTOR__URL", "http://127.0.0.1:4317"),
            ("IMAGESENTINEL__ENGINES", "[{socket: /run/a.sock}, {socket: /run/b.sock}]"),
            ("IMAGESENTINEL_REQUIRE", "root"));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(options.StateDirectory, Is.EqualTo("/environment"));
            Assert.That(options.Outputs.JsonLines, Is.Empty);
            Assert.That(options.Outputs.Collector.Url?.Port, Is.EqualTo(4317));
            Assert.That(options.Engines.Select(engine => engine.Socket), Is.EqualTo(new[] { "/run/a.sock", "/run/b.sock" }));
        }
    }

    [TestCase("IMAGESENTINEL__STATEDIR", "/x", "did you mean \"state_dir\"?")]
    [TestCase("IMAGESENTINEL__POLICY__TIME_WINDOW", "5", "has no unit")]
    [TestCase("IMAGESENTINEL__ENGINES", "[{socket: /a", "not valid YAML")]
    public void A_mistake_in_the_environment_names_the_variable(string name, string value, string says)
    {
        ConfigurationResult result = ConfigurationLoader.Parse("t.yaml", "", new Dictionary<string, string> { [name] = value });

        Assert.That(result.Errors.Select(error => error.ToString()), Has.Exactly(1).StartsWith(name).And.Exactly(1).Contains(says));
    }

    [Test]
    public void Mistakes_of_all_files_are_said_together()
    {
        Write("main.yaml", "a: 1\n");
        Write("conf.d/x.yaml", "b: 1\n");

        ConfigurationResult result = ConfigurationLoader.Load(Path.Combine(_folder, "main.yaml"), ImmutableDictionary<string, string>.Empty);

        Assert.That(result.Errors.Select(error => error.Place), Is.EqualTo(new[] { $"{_folder}/main.yaml:1", $"{_folder}/conf.d/x.yaml:1" }));
    }

    [Test]
    public void A_named_file_that_is_missing_is_an_error()
    {
        ConfigurationResult result = ConfigurationLoader.Load(Path.Combine(_folder, "none.yaml"), ImmutableDictionary<string, string>.Empty);

        Assert.That(result.Errors.Single().ToString(), Is.EqualTo($"{_folder}/none.yaml: cannot be read: there is no such file"));
    }

    [Test]
    public void An_alias_bomb_is_refused()
    {
        var yaml = new System.Text.StringBuilder("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
        for (char name = 'b'; name <= 'h'; name++)
        {
            char before = (char)(name - 1);
            yaml.Append(System.Globalization.CultureInfo.InvariantCulture, $"{name}: &{name} [{string.Join(", ", Enumerable.Repeat($"*{before}", 10))}]\n");
        }

        ConfigurationResult result = ConfigurationLoader.Parse("t.yaml", yaml.ToString());

        Assert.That(result.Errors.Select(error => error.ToString()), Has.Some.Contains("beyond reason"));
    }

    [Test]
    public void A_directory_as_a_file_is_one_line()
    {
        ConfigurationResult result = ConfigurationLoader.Load(_folder, ImmutableDictionary<string, string>.Empty);

        Assert.That(result.Errors, Has.Length.EqualTo(1));
    }

    [TestCase("250ms", 0.25)]
    [TestCase("5m", 300)]
    [TestCase("1h30m", 5400)]
    [TestCase("2w", 1_209_600)]
    [TestCase("0s", 0)]
    public void Durations_read_and_describe_themselves(string text, double seconds)
    {
        bool read = ValueTypes.TryDuration(text, out TimeSpan value, out _);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(read, Is.True);
            Assert.That(value.TotalSeconds, Is.EqualTo(seconds));
            Assert.That(ValueTypes.TryDuration(ValueTypes.Describe(value), out TimeSpan again, out _) && again == value, Is.True);
        }
    }

    [TestCase("")]
    [TestCase("m")]
    [TestCase("5 m")]
    [TestCase("-5m")]
    [TestCase("5m5m")]
    [TestCase("1.5h")]
    [TestCase("99999999999999999999d")]
    [TestCase("9223372036854775807w")]
    public void What_is_no_duration_is_refused(string text)
        => Assert.That(ValueTypes.TryDuration(text, out _, out string problem) || problem.Length == 0, Is.False);

    [TestCase("0B", 0)]
    [TestCase("512B", 512)]
    [TestCase("64MiB", 67_108_864)]
    [TestCase("2TiB", 2_199_023_255_552)]
    public void Sizes_read_and_describe_themselves(string text, long bytes)
    {
        bool read = ValueTypes.TrySize(text, out long value, out _);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(read, Is.True);
            Assert.That(value, Is.EqualTo(bytes));
            Assert.That(ValueTypes.DescribeSize(value), Is.EqualTo(text));
        }
    }

    [TestCase("9223372036854775807KiB")]
    [TestCase("1MiB1KiB")]
    [TestCase("MiB")]
    [TestCase("1mib")]
    public void What_is_no_size_is_refused(string text)
        => Assert.That(ValueTypes.TrySize(text, out _, out string problem) || problem.Length == 0, Is.False);

    [Test]
    public void What_show_prints_reads_back_as_the_same_configuration()
    {
        string yaml = """
            state_dir: "/var/lib/with space # and hash"
            engines: [{socket: /run/a.sock}, {socket: /run/b.sock, data_root: /d}]
            policy: {registry_allow_list: [a.example], time_window: 90s}
            """;
        string shown = ConfigurationText.Show(ConfigurationLoader.Parse("t.yaml", yaml).Tree);

        string again = ConfigurationText.Show(ConfigurationLoader.Parse("t.yaml", shown).Tree);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(shown, Does.Contain("time_window: 90s").And.Contain("# t.yaml:3").And.Contain("# default"));
            Assert.That(ConfigurationLoader.Parse("t.yaml", shown).Errors, Is.Empty);
            Assert.That(WithoutOrigins(again), Is.EqualTo(WithoutOrigins(shown)));
        }
    }

    [Test]
    public void The_schema_knows_every_key_that_can_be_read()
    {
        string schema = ConfigurationSchema.Build().ToJsonString();

        Assert.That(Keys(AgentSchema.Root), Has.All.Matches<string>(key => schema.Contains($"\"{key}\":", StringComparison.Ordinal)));
    }

    private static IEnumerable<string> Keys(SectionSetting section)
        => section.Members.SelectMany(member => member switch
        {
            SectionSetting below => Keys(below).Append(below.Key),
            SectionListSetting list => list.Members.Select(item => item.Key).Append(list.Key),
            _ => [member.Key],
        });

    private static IEnumerable<string> WithoutOrigins(string shown)
        => shown.Split('\n').Select(line => System.Text.RegularExpressions.Regex.Replace(line, @"\s+# (default|\S+:\d+)$", ""));

    private static AgentOptions Read(string yaml)
    {
        ConfigurationResult result = ConfigurationLoader.Parse("t.yaml", yaml);
        return result.Options ?? throw new AssertionException(string.Join('\n', result.Errors));
    }

    private AgentOptions Load(string file, params (string Name, string Value)[] environment)
    {
        ConfigurationResult result = ConfigurationLoader.Load(Path.Combine(_folder, file), environment.ToDictionary(pair => pair.Name, pair => pair.Value));
        return result.Options ?? throw new AssertionException(string.Join('\n', result.Errors));
    }

    private void Write(string file, string text)
    {
        string path = Path.Combine(_folder, file);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }

    private static IEnumerable<TestCaseData> MistakeCases()
    {
        string text = File.ReadAllText(Path.Combine(AgentCorpus.Root, "configuration-errors.txt"));
        foreach (string block in text.Split("\n== ").Skip(1))
        {
            string[] lines = block.Split('\n');
            string[] expectations = [.. lines.Where(line => line.StartsWith("-- ", StringComparison.Ordinal)).Select(line => line[3..])];
            string yaml = string.Join('\n', lines.Skip(1).Where(line => !line.StartsWith("-- ", StringComparison.Ordinal)));
            yield return new TestCaseData(yaml, expectations).SetArgDisplayNames(lines[0]);
        }
    }
}
