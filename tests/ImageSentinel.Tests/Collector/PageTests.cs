using System.Net;
using System.Text.RegularExpressions;
using Grpc.Net.Client;
using NUnit.Framework;

namespace ImageSentinel.Tests.Collector;

public sealed partial class PageTests
{
    // Markup, an attribute's end, a terminal's clear screen, a bidi override, zero width, a broken surrogate, a C1 CSI.
    private const string Hostile = "<script>alert(1)</script>\"'><img src=x onerror=y>\u001b[2J\u202egnp.exe\u200b\u009b31m";

    private string _state = "";
    private CollectorHarness _collector = null!;
    private GrpcChannel _channel = null!;
    private AgentStream _agent = null!;

    private static IEnumerable<string> Pages(string said)
    {
        yield return "/";
        yield return $"/builds/{Uri.EscapeDataString("build/1" + said)}";
        yield return $"/findings/{Uri.EscapeDataString("f/1" + said)}";
    }

    [SetUp]
    public async Task Start()
    {
        _state = Directory.CreateTempSubdirectory("imagesentinel-page-").FullName;
        _collector = await CollectorHarness.StartAsync(_state);
        _channel = _collector.Channel();
        _agent = new AgentStream(_channel);
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
    public async Task Whatever_an_attacker_wrote_is_shown_and_does_nothing()
    {
        await SampleAttack.SendAsync(_agent, Hostile);
        foreach (string path in Pages(Hostile))
        {
            string raw = await _collector.Web.GetStringAsync(path);
            string seen = WebUtility.HtmlDecode(raw);
            using (Assert.EnterMultipleScope())
            {
                Assert.That(ForeignTag().Matches(raw).Select(match => match.Value), Is.Empty, path);
                Assert.That(raw, Does.Not.Contain("<script>").And.Not.Contain("<img"), path);
                Assert.That(seen.Where(c => c is not '\n' && (char.IsControl(c) || c is '\u202e' or '\u200b')), Is.Empty, path);
                Assert.That(seen, Does.Contain("<span class=\"esc\">\\x1b</span>[2J<span class=\"esc\">\\u{202e}</span>gnp.exe"), path);
            }
        }
    }

    [Test]
    public async Task The_finding_page_tells_the_story_from_the_message_down_to_the_next_steps()
    {
        await SampleAttack.SendAsync(_agent);
        string page = await TextAsync("/findings/f%2F1");
        string[] story =
        [
            "critical", "Build step fetched and ran a program", "Step 2 of 2 of shop/web:latest fetched", "2026-11-22T03:04:08Z",
            "T1612 Build Image on Host", "Evidence", "Who asked", "www-data", "over unix", "others were possible",
            "What was asked for", "buildkit", "docker.io/library/alpine:3.20", "What the steps did", "step 1 of 2", "from cache, nothing ran",
            "step 2 of 2", "exit 0", "3.0 s", "never seen", "cdn.example (203.0.113.66:8080)", "3 attempts", "91234 received", "wget -q", "pid 4711",
            "/usr/local/bin/x", "and ran it", "What came out", "sha256:feedbeef0123456789", "What could be seen", "7 events were lost", "nf_conntrack_acct=0", "Next steps", "docker image rm shop/web:latest",
        ];
        int at = 0;
        foreach (string part in story)
        {
            int found = page.IndexOf(part, at, StringComparison.Ordinal);
            Assert.That(found, Is.Not.Negative, $"'{part}' is missing or too early");
            at = found;
        }
    }

    [Test]
    public async Task The_build_page_begins_with_its_verdict_and_one_sentence()
    {
        await SampleAttack.SendAsync(_agent);
        string page = await TextAsync("/builds/build%2F1");
        Assert.That(page, Does.Match("malicious.*shop/web:latest.*www-data had host-1.example build shop/web:latest, which succeeded. Step 2 of 2.*Who asked"));
    }

    [Test]
    public async Task The_index_lists_findings_builds_and_hosts()
    {
        await SampleAttack.SendAsync(_agent);
        string page = await TextAsync("/");
        Assert.That(page, Does.Match("Findings.*critical.*downloaded-executable.*Builds.*malicious.*shop/web:latest.*www-data.*unix.*buildkit.*succeeded.*2.*1.*Hosts.*live.*host-1.example.*1 of 2 sensors active.*7 events lost"));
    }

    [Test]
    public async Task Pages_are_there_when_there_is_nothing_to_show()
    {
        string page = await TextAsync("/");
        using HttpResponseMessage missing = await _collector.Web.GetAsync("/builds/none");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(page, Does.Contain("No agent has connected yet"));
            Assert.That(missing.StatusCode, Is.EqualTo(HttpStatusCode.NotFound));
        }
    }

    [TestCase("/")]
    [TestCase("/builds/none")]
    [TestCase("/api/v1/builds")]
    [TestCase("/assets/page.css")]
    [TestCase("/assets/live.js")]
    public async Task Every_answer_forbids_what_the_page_does_not_need(string path)
    {
        using HttpResponseMessage answer = await _collector.Web.GetAsync(path);
        string policy = string.Join(' ', answer.Headers.GetValues("Content-Security-Policy"));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(policy, Does.Contain("default-src 'none'").And.Contain("script-src 'self'").And.Not.Contain("unsafe"));
            Assert.That(answer.Headers.GetValues("X-Content-Type-Options"), Is.EqualTo(new[] { "nosniff" }));
            Assert.That(answer.Headers.GetValues("Referrer-Policy"), Is.EqualTo(new[] { "no-referrer" }));
        }
    }

    [Test]
    public async Task Filters_select_and_their_values_are_escaped_too()
    {
        await SampleAttack.SendAsync(_agent);
        string other = await _collector.Web.GetStringAsync($"/?host={Uri.EscapeDataString("x\"><script>")}");
        string clean = await TextAsync("/?verdict=clean");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(other, Does.Not.Contain("<script>").And.Not.Contain("shop/web"));
            Assert.That(clean, Does.Match("Builds *None"));
        }
    }

    // Any element that our templates do not write.
    [GeneratedRegex("<(?!/?(html|head|meta|title|link|script src=\"/assets/live.js\" defer|/script|script|body|header|main|a|span|p|form|label|input|select|option|button|h1|h2|table|thead|tbody|tr|th|td|br|code|pre|time|dl|dt|dd|ol|ul|li|div|strong|details|summary)[ >]|!DOCTYPE)[^>]*>")]
    private static partial Regex ForeignTag();

    [GeneratedRegex("<[^>]*>")]
    private static partial Regex Tag();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Space();

    private async Task<string> TextAsync(string path)
        => Space().Replace(WebUtility.HtmlDecode(Tag().Replace(await _collector.Web.GetStringAsync(path), " ")), " ");
}
