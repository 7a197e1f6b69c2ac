using System.Net;
using System.Text.Json;
using Google.Protobuf;
using Grpc.Net.Client;
using ImageSentinel.V1;
using NUnit.Framework;

namespace ImageSentinel.Tests.Collector;

public sealed class ReadApiTests
{
    private string _state = "";
    private CollectorHarness _collector = null!;
    private GrpcChannel _channel = null!;
    private AgentStream _agent = null!;

    [SetUp]
    public async Task Start()
    {
        _state = Directory.CreateTempSubdirectory("imagesentinel-api-").FullName;
        _collector = await CollectorHarness.StartAsync(_state);
        _channel = _collector.Channel();
        _agent = new AgentStream(_channel);
        await SampleAttack.SendAsync(_agent);
    }

    [TearDown]
    public async Task Stop()
    {
        await _agent.DisposeAsync();
        _channel.Dispose();
        await _collector.DisposeAsync();
        Directory.Delete(_state, recursive: true);
    }

    [Test]
    public async Task Builds_are_proto3_json_newest_first_and_parse_back_into_what_was_sent()
    {
        await _agent.SayAsync(AgentStream.Build(10, "later"));
        JsonElement builds = (await GetAsync("/api/v1/builds")).GetProperty("builds");
        Build parsed = JsonParser.Default.Parse<Build>(builds[1].GetRawText());
        Build sent = SampleAttack.Records().Single(record => record.Build is not null).Build;
        sent.Host = AgentStream.Hello().Host;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(builds.EnumerateArray().Select(build => build.GetProperty("id").GetString()), Is.EqualTo(new[] { "later", "build/1" }));
            Assert.That(builds[1].GetProperty("verdict").GetString(), Is.EqualTo("VERDICT_MALICIOUS"));
            Assert.That(builds[1].GetProperty("startTime").GetString(), Is.EqualTo("2026-11-22T03:04:05Z"));
            Assert.That(parsed, Is.EqualTo(sent));
        }
    }

    [TestCase("/api/v1/builds?limit=1", 1)]
    [TestCase("/api/v1/builds?since=2026-11-22T03:04:05Z", 1)]
    [TestCase("/api/v1/builds?since=2026-11-22T03:04:06Z", 0)]
    [TestCase("/api/v1/builds?host=host-1.example", 1)]
    [TestCase("/api/v1/builds?host=host-1", 1)]
    [TestCase("/api/v1/builds?host=host-2", 0)]
    public async Task Builds_are_selected_by_count_time_and_host(string path, int expected)
        => Assert.That((await GetAsync(path)).GetProperty("builds").GetArrayLength(), Is.EqualTo(expected));

    [TestCase("/api/v1/findings", 1)]
    [TestCase("/api/v1/findings?severity=critical", 1)]
    [TestCase("/api/v1/findings?severity=SEVERITY_HIGH", 1)]
    [TestCase("/api/v1/findings?build=build/1", 1)]
    [TestCase("/api/v1/findings?build=another", 0)]
    public async Task Findings_are_selected_by_least_severity_and_build(string path, int expected)
        => Assert.That((await GetAsync(path)).GetProperty("findings").GetArrayLength(), Is.EqualTo(expected));

    [Test]
    public async Task A_build_comes_with_its_findings_and_a_finding_with_its_build_and_history()
    {
        JsonElement build = await GetAsync("/api/v1/builds/build%2F1");
        JsonElement finding = await GetAsync("/api/v1/findings/f%2F1");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(build.GetProperty("build").GetProperty("id").GetString(), Is.EqualTo("build/1"));
            Assert.That(build.GetProperty("findings")[0].GetProperty("uid").GetString(), Is.EqualTo("f/1"));
            Assert.That(finding.GetProperty("finding").GetProperty("severity").GetString(), Is.EqualTo("SEVERITY_CRITICAL"));
            Assert.That(finding.GetProperty("build").GetProperty("id").GetString(), Is.EqualTo("build/1"));
            Assert.That(finding.GetProperty("activities").GetArrayLength(), Is.EqualTo(1));
        }
    }

    [Test]
    public async Task Hosts_tell_their_last_word_and_coverage()
    {
        JsonElement host = (await GetAsync("/api/v1/hosts")).GetProperty("hosts")[0];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(host.GetProperty("host").GetProperty("hostId").GetString(), Is.EqualTo("host-1"));
            Assert.That(host.GetProperty("state").GetString(), Is.EqualTo("live"));
            Assert.That(host.GetProperty("coverage").GetProperty("lostEvents").GetString(), Is.EqualTo("7"));
            Assert.That(host.GetProperty("lastSeen").GetDateTime(), Is.EqualTo(DateTime.UtcNow).Within(TimeSpan.FromMinutes(5)));
        }
    }

    [TestCase("/api/v1/builds?limit=0", HttpStatusCode.BadRequest)]
    [TestCase("/api/v1/builds?limit=-1", HttpStatusCode.BadRequest)]
    [TestCase("/api/v1/builds?limit=1001", HttpStatusCode.BadRequest)]
    [TestCase("/api/v1/builds?since=yesterday", HttpStatusCode.BadRequest)]
    [TestCase("/api/v1/findings?severity=3", HttpStatusCode.BadRequest)]
    [TestCase("/api/v1/findings?severity=awful", HttpStatusCode.BadRequest)]
    [TestCase("/api/v1/builds/none", HttpStatusCode.NotFound)]
    [TestCase("/api/v1/findings/none", HttpStatusCode.NotFound)]
    public async Task What_cannot_be_answered_says_so_in_json(string path, HttpStatusCode expected)
    {
        using HttpResponseMessage answer = await _collector.Web.GetAsync(path);
        JsonElement body = JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(answer.StatusCode, Is.EqualTo(expected));
            Assert.That(body.GetProperty("error").GetString(), Is.Not.Empty);
        }
    }

    [Test]
    public async Task The_live_stream_carries_new_records_and_nothing_twice()
    {
        using HttpResponseMessage answer = await _collector.Web.GetAsync("/api/v1/stream", HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync());
        Assert.That(await NextEventAsync(reader), Is.EqualTo(("hello", "{}")));

        await _agent.SayAsync(AgentStream.Build(20, "b20"));
        await _agent.SayAsync(AgentStream.Build(20, "b20"));
        await _agent.SayAsync(AgentStream.Finding(21, "f21"));
        (string kind, string data) = await NextEventAsync(reader);
        (string nextKind, string nextData) = await NextEventAsync(reader);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(kind, Is.EqualTo("build"));
            Assert.That(JsonParser.Default.Parse<OutputRecord>(data).Build.Id, Is.EqualTo("b20"));
            Assert.That(nextKind, Is.EqualTo("finding"));
            Assert.That(JsonParser.Default.Parse<OutputRecord>(nextData).Finding.Uid, Is.EqualTo("f21"));
        }
    }

    [TestCase("evil.example", HttpStatusCode.MisdirectedRequest)]
    [TestCase("localhost", HttpStatusCode.OK)]
    public async Task A_page_of_another_name_that_points_here_reads_nothing(string host, HttpStatusCode expected)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/v1/builds") { Headers = { Host = host } };
        using HttpResponseMessage answer = await _collector.Web.SendAsync(request);
        Assert.That(answer.StatusCode, Is.EqualTo(expected));
    }

    [Test]
    public async Task The_agents_listener_serves_nobody_else_and_the_readers_listener_takes_no_records()
    {
        using var http2 = new HttpClient { BaseAddress = _collector.AgentUrl, DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };
        using HttpResponseMessage read = await http2.GetAsync("/api/v1/builds");
        using var body = new ByteArrayContent([]);
        body.Headers.ContentType = new("application/grpc");
        using HttpResponseMessage write = await _collector.Web.PostAsync("/imagesentinel.v1.FindingService/PublishFindings", body);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(read.StatusCode, Is.EqualTo(HttpStatusCode.NotFound));
            Assert.That(write.StatusCode, Is.EqualTo(HttpStatusCode.NotFound));
        }
    }

    private static async Task<(string Kind, string Data)> NextEventAsync(StreamReader reader)
    {
        (string kind, string data) = ("", "");
        while (await reader.ReadLineAsync() is { } line)
        {
            if (line.Length == 0 && kind.Length > 0)
            {
                break;
            }

            kind = line.StartsWith("event: ", StringComparison.Ordinal) ? line["event: ".Length..] : kind;
            data = line.StartsWith("data: ", StringComparison.Ordinal) ? line["data: ".Length..] : data;
        }

        return (kind, data);
    }

    private async Task<JsonElement> GetAsync(string path)
        => JsonDocument.Parse(await _collector.Web.GetStringAsync(path)).RootElement;
}
