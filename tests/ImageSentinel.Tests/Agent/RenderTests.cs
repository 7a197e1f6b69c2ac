using System.Text;
using System.Text.Json;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.Agent.Outputs.Render;
using ImageSentinel.V1;
using NUnit.Framework;

namespace ImageSentinel.Tests.Agent;

public sealed class RenderTests
{
    private static readonly JsonSerializerOptions s_indented = new() { WriteIndented = true };

    private static readonly (string Golden, Func<string, string> Render)[] s_forms =
    [
        ("terminal.txt", file => Lines(file)),
        ("findings-table.txt", file => Console(c => Fill(new FindingTable(c), file, record => record.Finding is not null))),
        ("builds-table.txt", file => Console(c => Fill(new BuildTable(c), file, record => record.Build is not null))),
        ("story.txt", file => Console(c => StoryPage.Write(c, Story(file)))),
        ("status.txt", file => Console(c => StatusPage.Write(c, Status(file)))),
        ("ocsf.json", file => Indent(OcsfFinding.Line(AgentCorpus.Finding(file)))),
        ("falco.json", file => Indent(FalcoAlert.Line(AgentCorpus.Finding(file)))),
        ("journal-finding.txt", file => Fields(JournalOutput.Entry(AgentCorpus.Finding(file), AgentCorpus.Build(file)))),
        ("journal-build.txt", file => Fields(JournalOutput.Entry(AgentCorpus.Build(file)))),
    ];

    private static IEnumerable<TestCaseData> Forms()
        => s_forms.Select(form => new TestCaseData(form.Golden, form.Render).SetArgDisplayNames(form.Golden));

    [TestCaseSource(nameof(Forms))]
    public void An_attack_is_rendered_as_agreed(string golden, Func<string, string> render)
    {
        string actual = render("attack.jsonl");

        Assert.That(actual, Is.EqualTo(AgentCorpus.Golden($"attack.{golden}", actual)));
    }

    [TestCaseSource(nameof(Forms))]
    public void What_an_attacker_wrote_reaches_no_terminal_and_no_journal(string golden, Func<string, string> render)
    {
        string text = render("hostile.jsonl");

        foreach (Rune rune in text.EnumerateRunes().Where(rune => rune.Value is not '\n'))
        {
            Assert.That(
                Rune.GetUnicodeCategory(rune),
                Is.Not.EqualTo(System.Globalization.UnicodeCategory.Control).And.Not.EqualTo(System.Globalization.UnicodeCategory.Format)
                    .And.Not.EqualTo(System.Globalization.UnicodeCategory.LineSeparator).And.Not.EqualTo(System.Globalization.UnicodeCategory.ParagraphSeparator),
                $"U+{rune.Value:X4} in {golden}");
        }

        // A line that begins with the attacker's words would pass for one of ours.
        Assert.That(text.Split('\n'), Has.None.StartsWith("fake: line").And.None.StartsWith("203.0.113.66"));
    }

    [Test]
    public void Brackets_of_others_are_brackets_and_no_markup()
        => Assert.That(Lines("hostile.jsonl"), Does.Contain("[bold]x[/]"));

    [Test]
    public void A_finding_is_one_line_on_the_terminal()
        => Assert.That(Lines("hostile.jsonl").TrimEnd('\n'), Does.Not.Contain("\n"));

    [Test]
    public void Colour_is_for_terminals_only()
    {
        using var writer = new StringWriter();
        using var output = new TerminalOutput(writer, isTerminal: false);
        output.Write([.. AgentCorpus.Records("attack.jsonl")]);

        Assert.That(writer.ToString(), Does.Not.Contain("\u001b"));
    }

    [Test]
    public void A_finding_is_shown_once_and_again_only_when_it_grew_worse()
    {
        Finding finding = AgentCorpus.Finding("attack.jsonl");
        Finding same = finding.Clone();
        same.Activity = Activity.Update;
        Finding worse = same.Clone();
        worse.Severity = Severity.Critical;
        using var writer = new StringWriter();
        using var output = new TerminalOutput(writer, isTerminal: false);

        output.Write([.. new[] { finding, same, worse, worse }.Select(state => new OutputRecord { Finding = state })]);

        string[] lines = writer.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(lines, Has.Length.EqualTo(2));
        Assert.That(lines[1], Does.Contain("CRITICAL"));
    }

    [Test]
    public void The_detectors_own_sentence_goes_before_ours()
    {
        Finding finding = AgentCorpus.Finding("attack.jsonl").Clone();
        finding.Message = "it happened \\n as told";

        Assert.That(FindingSentence.Of(finding, AgentCorpus.Build("attack.jsonl")), Is.EqualTo("it happened \\n as told"));
    }

    [TestCase("SEVERITY_HIGH", Severity.High)]
    [TestCase("Critical", Severity.Critical)]
    [TestCase("info", Severity.Unspecified)]
    public void Severities_are_read_in_every_spelling(string text, Severity expected)
    {
        bool read = SeverityTable.TryParse(text, out Severity severity);

        Assert.That((read, severity), Is.EqualTo((expected != Severity.Unspecified, expected)));
    }

    [Test]
    public void Every_severity_of_the_protocol_has_a_row()
        => Assert.That(SeverityTable.Rows.Select(row => row.Severity), Is.EqualTo(Enum.GetValues<Severity>().Where(severity => severity != Severity.Unspecified)));

    [TestCase("203.0.113.66", 80u, "203.0.113.66:80")]
    [TestCase("2001:db8::66", 443u, "[2001:db8::66]:443")]
    [TestCase("2001:db8::66", 0u, "2001:db8::66")]
    public void Endpoints_are_written_as_their_family_wants(string address, uint port, string expected)
        => Assert.That(FindingSentence.Endpoint(address, port), Is.EqualTo(expected));

    [Test]
    public void Techniques_come_with_tactic_and_release()
    {
        Technique technique = AttackTable.Find("T1612");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(technique.TechniqueName, Is.EqualTo("Build Image on Host"));
            Assert.That(technique.TacticId, Does.Match("^TA[0-9]{4}$"));
            Assert.That(technique.AttackVersion, Is.EqualTo(AttackTable.Version));
            Assert.That(AttackTable.Find("T9999").TechniqueId, Is.EqualTo("T9999"));
        }
    }

    [TestCase("T1612")]
    [TestCase("T1105")]
    [TestCase("T1046")]
    [TestCase("T1552.005")]
    [TestCase("T1071.004")]
    [TestCase("T1562")]
    [TestCase("T1562.001")]
    [TestCase("T1562.006")]
    [TestCase("T1543")]
    [TestCase("T1053")]
    [TestCase("T1610")]
    [TestCase("T1611")]
    public void Every_technique_a_detector_names_is_in_the_table(string id)
        => Assert.That(AttackTable.Find(id).TacticName, Is.Not.Empty);

    [Test]
    public void No_two_kinds_of_journal_entry_share_an_id()
    {
        string[] ids = [JournalIds.Finding, JournalIds.BuildEnded, .. Enum.GetValues<NoticeKind>().Select(JournalIds.Of)];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(ids, Is.Unique);
            Assert.That(ids, Has.All.Match("^[0-9a-f]{32}$"));
        }
    }

    [Test]
    public void Every_kind_of_journal_entry_is_explained_in_the_catalog()
    {
        string catalog = File.ReadAllText(Path.Combine(AgentCorpus.Root, "..", "..", "..", "packaging", "catalog", "imagesentinel.catalog"));
        string[] ids = [JournalIds.Finding, JournalIds.BuildEnded, .. Enum.GetValues<NoticeKind>().Select(JournalIds.Of)];

        Assert.That(ids, Has.All.Matches<string>(id => catalog.Contains($"-- {id}", StringComparison.Ordinal)));
    }

    [Test]
    public void Coverage_that_changed_is_told_and_coverage_that_did_not_is_not()
    {
        var watch = new CoverageWatch();
        Coverage first = AgentCorpus.Records("attack.jsonl")[0].Coverage;
        Coverage worse = first.Clone();
        worse.Sensors[0].State = SensorState.Degraded;
        worse.Sensors[0].Reason = "audit was switched off";
        worse.Sensors[1].Dropped = 7;

        NoticeKind[] Told(Coverage coverage) => [.. watch.Compare(coverage).Select(notice => notice.Kind)];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Told(first), Is.Empty);
            Assert.That(Told(first), Is.Empty);
            Assert.That(Told(worse), Is.EqualTo(new[] { NoticeKind.SensorDegraded, NoticeKind.EventsLost }));
            Assert.That(Told(worse), Is.Empty);
            Assert.That(Told(first), Is.EqualTo(new[] { NoticeKind.SensorRecovered }));
        }
    }

    private static string Lines(string file)
    {
        using var writer = new StringWriter();
        using var output = new TerminalOutput(writer, isTerminal: false);
        output.Write([.. AgentCorpus.Records(file)]);
        return writer.ToString();
    }

    private static string Console(Action<Spectre.Console.IAnsiConsole> draw)
    {
        using var writer = new StringWriter();
        draw(Terminal.Create(writer, isTerminal: false));
        return string.Join('\n', writer.ToString().Split('\n').Select(line => line.TrimEnd()));
    }

    private static void Fill(IRecordView view, string file, Func<OutputRecord, bool> wanted)
    {
        foreach (OutputRecord record in AgentCorpus.Records(file).Where(wanted))
        {
            view.Add(record);
        }

        view.Complete();
    }

    private static ExplainResponse Story(string file) => new() { Finding = AgentCorpus.Finding(file), Build = AgentCorpus.Build(file) };

    private static GetStatusResponse Status(string file)
    {
        var status = new GetStatusResponse
        {
            Coverage = AgentCorpus.Records(file).FirstOrDefault(record => record.Coverage is not null)?.Coverage ?? AgentCorpus.Build(file).Coverage,
            Started = new Google.Protobuf.WellKnownTypes.Timestamp { Seconds = 1_795_400_000 },
            Collector = file.StartsWith("hostile", StringComparison.Ordinal) ? "unreachable: \u001b[2J\nx" : "connected",
            Builds = 12,
            BuildsActive = 1,
            SpoolDepth = 3,
            ResidentKib = 40_000,
        };
        status.FindingsBySeverity["high"] = 2;
        status.Engines.Add(new EngineStatus { Socket = "/run/docker.sock", Version = "26.1.5", DaemonPid = 812, DataRoot = "/var/lib/docker", Reachable = true });
        status.Engines.Add(new EngineStatus { Socket = "/run/gone\u001b.sock", Note = "no such file" });
        return status;
    }

    private static string Indent(string json) => JsonSerializer.Serialize(JsonDocument.Parse(json), s_indented) + "\n";

    private static string Fields(JournalFields entry)
        => string.Concat(entry.Fields.Select(field => Encoding.UTF8.GetString(field.Span) + "\n"));
}
