using ImageSentinel.Agent.Composition;
using ImageSentinel.Agent.Control;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.Agent.Outputs.Render;
using ImageSentinel.Sensors.Replay;
using ImageSentinel.Sensors.Stream;
using ImageSentinel.Tests.Support;
using ImageSentinel.V1;
using NUnit.Framework;
using HostFact = ImageSentinel.Detection.Model.HostFact;

namespace ImageSentinel.Tests.Replay;

/// <summary>Recordings of a real engine through the production path: what was told once is told again, to the byte.</summary>
/// <remarks>
/// IMAGESENTINEL_REBASELINE=1 writes the expected output anew; the difference is then read in review, line by line.
/// </remarks>
[TestFixture]
public sealed class ReplayCorpusTests
{
    private const string Rebaseline = "IMAGESENTINEL_REBASELINE";

    private static string Corpus => RepositoryFiles.PathOf("tests", "corpus", "replay");

    public static IEnumerable<string> Cases() => Directory.EnumerateDirectories(Corpus).Select(static d => Path.GetFileName(d)).Order(StringComparer.Ordinal);

    private static string PathOf(string name, string file) => Path.Combine(Corpus, name, file);

    private static async Task<List<OutputRecord>> ReplayAsync(Stream capture, string name)
    {
        var records = new List<OutputRecord>();
        AgentOptions options = ConfigurationLoader.Defaults with
        {
            Baseline = new BaselineOptions(BaselineMode.Enforcing, TimeSpan.Zero),
        };
        await new ReplayRunner().RunAsync(capture, name, options, records.Add, CancellationToken.None);
        return records;
    }

    private static async Task<string> TextOfAsync(string name)
    {
        await using FileStream capture = File.OpenRead(PathOf(name, "capture.iscap"));
        return string.Concat((await ReplayAsync(capture, name)).Select(static record => RecordJson.Line(record) + "\n"));
    }

    [TestCaseSource(nameof(Cases))]
    public async Task A_recording_gives_the_same_bytes_every_time(string name)
    {
        string first = await TextOfAsync(name);
        string second = await TextOfAsync(name);
        Assert.That(second, Is.EqualTo(first));

        string golden = PathOf(name, "expected.jsonl");
        if (Environment.GetEnvironmentVariable(Rebaseline) == "1")
        {
            await File.WriteAllTextAsync(golden, first);
        }

        Assert.That(first, Is.EqualTo(await File.ReadAllTextAsync(golden)));
    }

    [TestCase("http-get-buildkit", V1.Verdict.Suspicious, "203.0.113.66", 80u)]
    [TestCase("http-get-classic", V1.Verdict.Suspicious, "203.0.113.66", 80u)]
    [TestCase("failed-buildkit", V1.Verdict.Suspicious, "203.0.113.66", 80u)]
    [TestCase("orphan-classic", V1.Verdict.Suspicious, "203.0.113.66", 8080u)]
    [TestCase("udp-buildkit", V1.Verdict.Suspicious, "203.0.113.66", 9999u)]
    [TestCase("clean-buildkit", V1.Verdict.Clean, "", 0u)]
    [TestCase("clean-classic", V1.Verdict.Clean, "", 0u)]
    public async Task A_recording_tells_what_its_scenario_did(string name, V1.Verdict verdict, string address, uint port)
    {
        await using FileStream capture = File.OpenRead(PathOf(name, "capture.iscap"));
        List<OutputRecord> records = await ReplayAsync(capture, name);

        Build build = Last(records).Single();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(build.Verdict, Is.EqualTo(verdict));
            Assert.That(build.State, Is.EqualTo(BuildState.Ended));
            Assert.That(build.Clients, Is.Not.Empty);
            Assert.That(
                build.Steps.SelectMany(static s => s.Egress).Select(static e => (e.Address, e.Port)),
                address.Length == 0 ? Is.Empty : Is.EqualTo(new[] { (address, port) }));
            Assert.That(
                records.Where(static r => r.Finding is not null).Select(static r => r.Finding.Detector).Distinct(),
                address.Length == 0 ? Is.Empty : Is.EqualTo(new[] { "never-seen-egress" }));
        }
    }

    [Test]
    public async Task From_packet_to_file_to_layer_to_container_it_is_one_story()
    {
        const string Name = "deploy-beacon-buildkit";
        await using FileStream capture = File.OpenRead(PathOf(Name, "capture.iscap"));
        var history = new AgentHistory();
        List<OutputRecord> records = await ReplayAsync(capture, Name);
        history.Write(records);
        Finding deployed = records.Last(static r => r.Finding?.Detector == "tainted-image-deployed").Finding;

        var text = new StringWriter();
        StoryPage.Write(Terminal.Create(text, isTerminal: false, width: 160), history.Explain(deployed.Uid)!);
        string golden = PathOf(Name, "story.txt");
        if (Environment.GetEnvironmentVariable(Rebaseline) == "1")
        {
            await File.WriteAllTextAsync(golden, text.ToString());
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(deployed.Severity, Is.EqualTo(V1.Severity.Critical));
            Assert.That(records.Where(static r => r.Finding is not null).Select(static r => r.Finding.Detector).Distinct(), Does.Contain("downloaded-executable"));
            Assert.That(text.ToString(), Is.EqualTo(await File.ReadAllTextAsync(golden)));
        }
    }

    // A trimmed recording has no login above the client: ancestors are somebody's, and nothing is decided by them.
    [TestCase("remote-api-classic", "tcp", "198.18.77.2", "", V1.Severity.Critical, V1.Severity.Critical)]
    [TestCase("ssh-buildkit", "unix", "", "it relays", V1.Severity.Unspecified, V1.Severity.High)]
    public async Task A_recording_tells_who_asked(string name, string transport, string address, string reason, V1.Severity client, V1.Severity egress)
    {
        await using FileStream capture = File.OpenRead(PathOf(name, "capture.iscap"));
        List<OutputRecord> records = await ReplayAsync(capture, name);

        Build build = Last(records).Single();
        BuildClient asked = build.Clients.Single();
        Dictionary<string, V1.Severity> told = records.Where(static r => r.Finding?.BuildId.Length > 0)
            .GroupBy(static r => r.Finding.Detector).ToDictionary(static g => g.Key, static g => g.Last().Finding.Severity);
        using (Assert.EnterMultipleScope())
        {
            Assert.That((asked.Transport, asked.Address, asked.Confidence), Is.EqualTo((transport, address, 1.0)));
            Assert.That(asked.Reason, Does.Contain(reason));
            Assert.That(told.GetValueOrDefault("build-by-unexpected-client"), Is.EqualTo(client));
            Assert.That(told["never-seen-egress"], Is.EqualTo(egress));
            Assert.That(records.Count(static r => r.Finding?.Detector == "posture-api-tcp"), Is.EqualTo(1));
        }
    }

    [Test]
    public async Task Of_two_builds_at_once_only_the_bad_one_is_blamed()
    {
        await using FileStream capture = File.OpenRead(PathOf("two-at-once-buildkit", "capture.iscap"));

        List<Build> builds = Last(await ReplayAsync(capture, "two-at-once"));

        Assert.That(
            builds.Select(static b => (b.Image.Tags.Single(), b.Verdict)),
            Is.EquivalentTo(new[]
            {
                ("example/two-at-once:1", V1.Verdict.Suspicious),
                ("example/two-at-once:1-good", V1.Verdict.Clean),
            }));
    }

    [TestCase("history-internal-buildkit", "record-mismatch", V1.Builder.Buildkit)]
    [TestCase("buildah", "never-seen-egress", V1.Builder.Buildah)]
    public async Task A_recording_of_an_odd_build_tells_what_is_odd_about_it(string name, string detector, V1.Builder builder)
    {
        await using FileStream capture = File.OpenRead(PathOf(name, "capture.iscap"));
        List<OutputRecord> records = await ReplayAsync(capture, name);

        Build build = Last(records).Single();
        Assert.That(build.Builder, Is.EqualTo(builder));
        Assert.That(
            records.Where(r => r.Finding?.BuildId == build.Id && r.Finding.Severity == V1.Severity.High).Select(static r => r.Finding.Detector),
            Does.Contain(detector));
    }

    [TestCaseSource(nameof(Cases))]
    public async Task Trimming_changes_nothing_that_is_told(string name)
    {
        var trimmed = new MemoryStream();
        using (var writer = new CaptureWriter(trimmed))
        {
            CaptureTrimmer.Trim(() => new CaptureReader(File.OpenRead(PathOf(name, "capture.iscap")), name), item => writer.Write(item));
        }

        string output = string.Concat((await ReplayAsync(new MemoryStream(trimmed.ToArray()), name)).Select(static record => RecordJson.Line(record) + "\n"));

        Assert.That(output, Is.EqualTo(await TextOfAsync(name)));
    }

    [TestCaseSource(nameof(Cases))]
    public void A_recording_says_where_it_came_from_and_names_no_host(string name)
    {
        Assert.That(File.ReadAllText(PathOf(name, "origin.md")), Does.Contain("Docker"));
        Assert.That(new FileInfo(PathOf(name, "capture.iscap")).Length, Is.LessThan(300_000));
        using var reader = new CaptureReader(File.OpenRead(PathOf(name, "capture.iscap")), name);
        while (reader.TryRead(out SensorItem item))
        {
            if (item.Kind == SensorKind.Facts && FactCodec.FromItem(item) is HostFact host)
            {
                Assert.That(host.Hostname, Is.EqualTo("host"));
                Assert.That(host.Users.Select(static u => u.Name), Is.SubsetOf(new[] { "root", "nobody" }));
            }
        }
    }

    // Every build as it was told last.
    private static List<Build> Last(List<OutputRecord> records)
        => [.. records.Where(static r => r.Build is not null).Select(static r => r.Build).GroupBy(static b => b.Id).Select(static g => g.Last())];
}
