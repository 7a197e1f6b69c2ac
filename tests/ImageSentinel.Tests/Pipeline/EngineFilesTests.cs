using System.Text;
using ImageSentinel.Docker;
using NUnit.Framework;

namespace ImageSentinel.Tests.Pipeline;

/// <summary>What lies in an engine's data root may have been put there by a step: nothing in it may throw.</summary>
[TestFixture]
public sealed class EngineFilesTests
{
    private const string Bundle = """
        {"process":{"args":["/bin/sh","-c","echo"],"env":["A=b"],"cwd":"/"},
         "linux":{"namespaces":[{"type":"network"}],"cgroupsPath":"/x"},"hooks":{"prestart":[{}]}}
        """;

    private const string Container = """
        {"Config":{"Image":"alpine","Cmd":["sh"],"Entrypoint":null},"Image":"sha256:0","Name":"/a",
         "State":{"Running":true,"ExitCode":0,"FinishedAt":"0001-01-01"},"HostConfig":{"Mounts":[{"Type":"bind"}],"Binds":["/:/h"]}}
        """;

    private const string Image = """
        {"rootfs":{"diff_ids":["sha256:0"]},"history":[{"created_by":"RUN x","empty_layer":true}],"container":"c"}
        """;

    private const string Tags = """{"Repositories":{"a":{"a:1":"sha256:0"}}}""";

    [TestCase("""{"process":{"args":["x"]},"linux":5}""")]
    [TestCase("""{"process":{"args":["\ud800"]}}""")]
    [TestCase("""{"process":5}""")]
    [TestCase("""{"process":{"args":["x"]},"hooks":[],"linux":{"namespaces":{"a":1}}}""")]
    public void A_bundle_that_is_none_does_no_harm(string json)
        => Assert.That(() => EngineFiles.Bundle(Encoding.UTF8.GetBytes(json), 0, "id", "/b", ""), Throws.Nothing);

    [TestCase("""{"Config":{},"State":{"ExitCode":"x"}}""")]
    [TestCase("""{"Config":{"Cmd":["\ud800"]},"State":[],"Name":7}""")]
    public void A_container_that_is_none_does_no_harm(string json)
        => Assert.That(() => EngineFiles.Container(Encoding.UTF8.GetBytes(json), Encoding.UTF8.GetBytes(json), 0, "id", ""), Throws.Nothing);

    // Every value in turn is replaced by one of another kind, and bytes by other bytes.
    [Test]
    public void Fifty_thousand_damaged_files_never_throw()
    {
        var random = new Random(4711);
        string[] files = [Bundle, Container, Image, Tags];
        string[] values = ["5", "null", "[]", "{}", "\"\\ud800\"", "1e999", "true", "[[[]]]", "\"\""];
        for (int i = 0; i < 50_000; i++)
        {
            string text = files[i % files.Length];
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            if (random.Next(2) == 0)
            {
                int colon = text.IndexOf(':', random.Next(text.Length));
                int end = colon < 0 ? -1 : text.IndexOfAny([',', '}', ']'], colon);
                bytes = end < 0 ? bytes : Encoding.UTF8.GetBytes(text[..(colon + 1)] + values[random.Next(values.Length)] + text[end..]);
            }
            else
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            Assert.That(() => Read(bytes), Throws.Nothing, Encoding.UTF8.GetString(bytes));
        }
    }

    private static void Read(byte[] bytes)
    {
        _ = EngineFiles.Bundle(bytes, 0, "id", "/b", "");
        _ = EngineFiles.Container(bytes, bytes, 0, "id", "");
        _ = EngineFiles.Image(bytes, 0, "sha256:0", "", out IReadOnlyList<string> _);
        _ = EngineFiles.Tags(bytes, 0);
        _ = EngineFiles.StoreImage(bytes, "b", ["a"]);
    }
}
