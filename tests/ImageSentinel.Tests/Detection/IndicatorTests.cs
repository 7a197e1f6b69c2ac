using System.Text;
using ImageSentinel.Detection.Indicators;
using ImageSentinel.Detection.Model;
using NUnit.Framework;

namespace ImageSentinel.Tests.Detection;

/// <summary>Feeds: what of them is taken in, and what then matches.</summary>
public sealed class IndicatorTests
{
    private const string Hash = "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08";

    private static IndicatorSet Plain(string text, out IndicatorReport report)
    {
        var builder = new IndicatorSetBuilder();
        builder.From("feed.txt");
        report = PlainListReader.Read(Encoding.UTF8.GetBytes(text), builder);
        return builder.Build();
    }

    private static IndicatorSet Stix(string objects, out IndicatorReport report)
    {
        var builder = new IndicatorSetBuilder();
        builder.From("feed.json");
        report = StixReader.Read(
            Encoding.UTF8.GetBytes($$"""{"type":"bundle","id":"bundle--1","objects":[{{objects}}]}"""), builder, DateTimeOffset.UnixEpoch.AddYears(50));
        return builder.Build();
    }

    [TestCase("203.0.113.66", "203.0.113.66", "203.0.113.66")]
    [TestCase("::ffff:203.0.113.66", "203.0.113.66", "203.0.113.66")]
    [TestCase("203.0.113.0/24", "203.0.113.66", "203.0.113.0/24")]
    [TestCase("203.0.113.7/24", "203.0.113.66", "203.0.113.0/24")]
    [TestCase("203.0.113.66/32", "203.0.113.66", "203.0.113.66")]
    [TestCase("2001:db8:66::/48", "2001:db8:66::1", "2001:db8:66::/48")]
    [TestCase("203.0.0.0/16\n203.0.113.0/24", "203.0.113.66", "203.0.113.0/24")]
    [TestCase("203.0.113.67", "203.0.113.66", null)]
    [TestCase("203.0.113.0/26", "203.0.113.66", null)]
    public void An_address_matches_itself_and_its_narrowest_network(string list, string address, string? expected)
    {
        IndicatorSet set = Plain(list, out IndicatorReport report);
        Assert.That(report.Bad, Is.Zero, report.FirstProblem);
        Assert.That(NetAddress.TryParse(address, out NetAddress parsed), Is.True);
        Assert.That(set.FindAddress(parsed)?.Value, Is.EqualTo(expected));
    }

    [TestCase("evil.example", "evil.example", true)]
    [TestCase("evil.example", "a.b.evil.example", true)]
    [TestCase("evil.example", "notevil.example", false)]
    [TestCase("Evil.Example.", "evil.example", true)]
    [TestCase("*.evil.example", "evil.example", false)]
    [TestCase("*.evil.example", "x.evil.example", true)]
    [TestCase(".evil.example", "x.evil.example", true)]
    [TestCase("*.evil.example\nevil.example", "evil.example", true)]
    [TestCase("evil.example\n*.evil.example", "evil.example", true)]
    [TestCase("a.evil.example", "evil.example", false)]
    public void A_name_matches_itself_and_what_is_below(string list, string name, bool matches)
        => Assert.That(Plain(list, out _).FindName(name), matches ? Is.Not.Null : Is.Null);

    [Test]
    public void A_hash_matches_files_and_digests_alike()
    {
        IndicatorSet set = Plain(Hash, out _);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(set.FindHash(Hash.ToLowerInvariant())?.Source, Is.EqualTo("feed.txt"));
            Assert.That(set.FindHash("sha256:" + Hash.ToLowerInvariant()), Is.Not.Null);
            Assert.That(set.FindImage("sha256:" + Hash.ToLowerInvariant()), Is.Not.Null);
            Assert.That(set.FindImage("mirror.corp.example/base@sha256:" + Hash.ToLowerInvariant()), Is.Not.Null);
            Assert.That(set.FindHash(Hash[..63] + "9"), Is.Null);
            Assert.That(set.FindHash("nothing"), Is.Null);
        }
    }

    [TestCase("docker.io/evil/miner", "evil/miner:3", true)]
    [TestCase("docker.io/evil/miner:3", "evil/miner:3", true)]
    [TestCase("docker.io/evil/miner:3", "evil/miner", false)]
    [TestCase("evil/miner:latest", "docker.io/evil/miner", true)]
    [TestCase("registry.example:5000/a/b", "registry.example:5000/a/b:1", true)]
    [TestCase("library/alpine", "alpine", true)]
    [TestCase("evil/miner", "evil/mine", false)]
    public void An_image_reference_is_read_as_the_engine_reads_it(string list, string reference, bool matches)
        => Assert.That(Plain(list, out _).FindImage(reference), matches ? Is.Not.Null : Is.Null);

    [Test]
    public void Comments_and_blank_lines_are_nothing_and_a_bad_line_is_told_with_its_number()
    {
        IndicatorSet set = Plain("# feed\n\n203.0.113.66 # seen 2026\r\nevil.example, high\nnot-a-thing\n0.0.0.0/0\n300.1.2.3\n", out IndicatorReport report);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(set.Count, Is.EqualTo(2));
            Assert.That(report, Is.EqualTo(new IndicatorReport(2, 0, 3, report.FirstProblem)));
            Assert.That(report.FirstProblem, Does.StartWith("line 5: \"not-a-thing\""));
        }
    }

    [TestCase("0.0.0.0/0")]
    [TestCase("10.0.0.0/7")]
    [TestCase("2000::/3")]
    public void A_network_that_holds_half_the_world_is_refused(string text)
    {
        _ = Plain(text, out IndicatorReport report);
        Assert.That(report.FirstProblem, Does.Contain("too wide"));
    }

    [Test]
    public void Stix_objects_and_patterns_are_taken_and_the_rest_is_counted()
    {
        IndicatorSet set = Stix(
            """
            {"type":"ipv4-addr","id":"ipv4-addr--1","value":"203.0.113.66"},
            {"type":"domain-name","id":"domain-name--1","value":"evil.example"},
            {"type":"file","id":"file--1","hashes":{"MD5":"0","SHA-256":"HASH"}},
            {"type":"indicator","id":"indicator--1","pattern_type":"stix","pattern":"[ipv4-addr:value = '203.0.113.67' OR domain-name:value IN ('a.example','b.example')] OR [ipv6-addr:value='2001:db8::1']"},
            {"type":"indicator","id":"indicator--2","pattern":"[file:hashes.'SHA-256' = 'ab' AND file:size = 5]"},
            {"type":"indicator","id":"indicator--3","pattern":"[ipv4-addr:value = '203.0.113.68']","revoked":true},
            {"type":"indicator","id":"indicator--4","pattern":"[ipv4-addr:value = '203.0.113.69']","valid_until":"2001-01-01T00:00:00Z"},
            {"type":"identity","id":"identity--1","name":"x","nested":{"a":[1,{"b":null}]}}
            """.Replace("HASH", Hash, StringComparison.Ordinal),
            out IndicatorReport report);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(report, Is.EqualTo(new IndicatorReport(4, 4, 0, "")));
            Assert.That(set.Count, Is.EqualTo(7));
            Assert.That(set.FindName("b.example"), Is.Not.Null);
            Assert.That(set.FindHash(Hash), Is.Not.Null);
        }
    }

    [TestCase("{", "not valid JSON")]
    [TestCase("{}", "no STIX bundle")]
    [TestCase("""{"type":"bundle","objects":[{"type":"ipv4-addr","value":"x","id":"ipv4-addr--9"}]}""", "object ipv4-addr--9")]
    [TestCase("""{"type":"bundle","objects":[{"type":"indicator","pattern":"[ipv4-addr:value = 'x']","id":"indicator--9"}]}""", "object indicator--9")]
    [TestCase("""{"type":"bundle","objects":[[[[]]]]}""", "")]
    [TestCase("""{"type":"bundle","objects":[{"type":"ipv4-addr","value":"\ud800"}]}""", "")]
    public void A_bad_bundle_is_one_clear_line(string json, string expected)
    {
        var builder = new IndicatorSetBuilder();
        IndicatorReport report = StixReader.Read(Encoding.UTF8.GetBytes(json), builder, DateTimeOffset.UnixEpoch);
        Assert.That(report.FirstProblem, Does.Contain(expected));
    }
}
