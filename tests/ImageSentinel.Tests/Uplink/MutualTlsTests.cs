using System.Net;
using ImageSentinel.Agent.Uplink;
using ImageSentinel.Tests.Collector;
using NUnit.Framework;

namespace ImageSentinel.Tests.Uplink;

public sealed class MutualTlsTests
{
    private string _directory = "";
    private TestAuthority _authority = null!;
    private TestAuthority _stranger = null!;
    private FindingSpool _spool = null!;
    private CollectorHarness _collector = null!;

    [SetUp]
    public async Task Start()
    {
        _directory = Directory.CreateTempSubdirectory("imagesentinel-tls-").FullName;
        _authority = new TestAuthority(_directory, "ours");
        _stranger = new TestAuthority(_directory, "stranger");
        _spool = SpoolHarness.Open(Directory.CreateDirectory(Path.Combine(_directory, "agent")).FullName);
        (string certificate, string key) = _authority.IssueServer("server");
        _collector = await CollectorHarness.StartAsync(
            Path.Combine(_directory, "collector"),
            options => options with { TlsCertificate = certificate, TlsKey = key, ClientCa = _authority.CaFile },
            scheme: "https");
    }

    [TearDown]
    public async Task Stop()
    {
        await _collector.DisposeAsync();
        _spool.Dispose();
        _authority.Dispose();
        _stranger.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    [Test]
    public async Task With_certificates_of_one_authority_on_both_ends_records_arrive_and_the_host_is_bound_to_its_certificate()
    {
        _spool.Append(SpoolHarness.Finding("f1"));
        using CollectorUplink uplink = await StartAsync(_authority.CaFile, _authority.IssueClient("agent"));
        await CollectorUplinkTests.Eventually(() => _spool.Status.Depth == 0);
        await uplink.StopAsync(CancellationToken.None);

        Assert.That(_collector.Reader.Hosts().Single().Certificate, Is.EqualTo("CN=agent-1"));
    }

    [Test]
    public async Task A_collector_whose_certificate_leads_to_another_root_is_not_trusted_and_that_is_said()
    {
        using CollectorUplink uplink = await StartAsync(_stranger.CaFile, _authority.IssueClient("agent"));
        await Settles(uplink, $"the collector's certificate is not trusted by {_stranger.CaFile}");
    }

    [Test]
    public async Task A_client_certificate_of_another_authority_is_refused_and_that_is_said()
    {
        using CollectorUplink uplink = await StartAsync(_authority.CaFile, _stranger.IssueClient("impostor"));
        await Settles(uplink, $"the collector closed the connection at once: it seems to refuse our certificate {Path.Combine(_directory, "impostor.pem")}");
        Assert.That(_collector.Reader.Hosts(), Is.Empty);
    }

    [Test]
    public async Task Without_a_client_certificate_the_connection_is_refused_and_the_setting_is_named()
    {
        using CollectorUplink uplink = await StartAsync(_authority.CaFile, null);
        await Settles(uplink, "the collector closed the connection at once: it seems to want a client certificate (outputs.collector.cert and key)");
        Assert.That(_collector.Reader.Hosts(), Is.Empty);
    }

    [Test]
    public async Task A_server_certificate_may_not_serve_as_a_client_certificate()
    {
        using CollectorUplink uplink = await StartAsync(_authority.CaFile, _authority.IssueServer("server-as-client"));
        await Settles(uplink, $"the collector closed the connection at once: it seems to refuse our certificate {Path.Combine(_directory, "server-as-client.pem")}");
    }

    [Test]
    public async Task A_certificate_for_another_name_is_told_apart_from_an_untrusted_one()
    {
        (string certificate, string key) = _authority.IssueServer("elsewhere", "elsewhere.example", IPAddress.Parse("198.51.100.7"));
        await using CollectorHarness other = await CollectorHarness.StartAsync(
            Path.Combine(_directory, "other"), options => options with { TlsCertificate = certificate, TlsKey = key }, scheme: "https");
        using CollectorUplink uplink = await StartAsync(_authority.CaFile, null, other.AgentUrl);
        await Settles(uplink, "the collector's certificate is not for 127.0.0.1");
    }

    [Test]
    public async Task An_expired_certificate_is_told_with_its_dates()
    {
        (string certificate, string key) = _authority.IssueServer("expired", validDays: 0);
        await using CollectorHarness other = await CollectorHarness.StartAsync(
            Path.Combine(_directory, "other"), options => options with { TlsCertificate = certificate, TlsKey = key }, scheme: "https");
        using CollectorUplink uplink = await StartAsync(_authority.CaFile, null, other.AgentUrl);
        await CollectorUplinkTests.Eventually(() => uplink.State.Text.Contains("(valid ", StringComparison.Ordinal));
        await uplink.StopAsync(CancellationToken.None);
    }

    [Test]
    public async Task Another_certificate_cannot_speak_for_a_host_that_has_one()
    {
        using (CollectorUplink owner = await StartAsync(_authority.CaFile, _authority.IssueClient("agent")))
        {
            await CollectorUplinkTests.Eventually(() => owner.State.Connected);
            await owner.StopAsync(CancellationToken.None);
        }

        _spool.Append(SpoolHarness.Finding("forged"));
        using CollectorUplink thief = await StartAsync(_authority.CaFile, _authority.IssueClient("thief", "CN=agent-2"));
        await Settles(thief, "the collector refused us: host id host-1 belongs to the certificate CN=agent-1, not to CN=agent-2");
        Assert.That(_collector.Reader.Findings(10), Is.Empty);
    }

    [Test]
    public async Task A_new_server_certificate_is_used_without_a_restart_and_a_bad_one_is_not()
    {
        await File.WriteAllTextAsync(Path.Combine(_directory, "server.pem"), "rubbish");
        using (CollectorUplink uplink = await StartAsync(_authority.CaFile, _authority.IssueClient("agent")))
        {
            await CollectorUplinkTests.Eventually(() => uplink.State.Connected);
            await uplink.StopAsync(CancellationToken.None);
        }

        _stranger.IssueServer("server");
        using CollectorUplink later = await StartAsync(_stranger.CaFile, _authority.IssueClient("agent"));
        await CollectorUplinkTests.Eventually(() => later.State.Connected);
        await later.StopAsync(CancellationToken.None);
    }

    [Test]
    public async Task A_key_that_is_not_there_is_named()
    {
        (string certificate, string _) = _authority.IssueClient("agent");
        using CollectorUplink uplink = await StartAsync(_authority.CaFile, (certificate, Path.Combine(_directory, "missing.key")));
        await CollectorUplinkTests.Eventually(() => uplink.State.Text.Contains("missing.key cannot be used", StringComparison.Ordinal));
        await uplink.StopAsync(CancellationToken.None);
    }

    private Task<CollectorUplink> StartAsync(string ca, (string Certificate, string Key)? own, Uri? url = null)
        => CollectorUplinkTests.StartAsync(
            url ?? _collector.AgentUrl, _spool, options => options with { Ca = ca, Certificate = own?.Certificate, Key = own?.Key });

    private static async Task Settles(CollectorUplink uplink, string text)
    {
        await CollectorUplinkTests.Eventually(() => !uplink.State.Connected && uplink.State.Text != "connecting");
        await uplink.StopAsync(CancellationToken.None);
        Assert.That(uplink.State.Text, Is.EqualTo(text));
    }
}
