using System.Text;
using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Indicators;
using ImageSentinel.Detection.Model;
using NUnit.Framework;

namespace ImageSentinel.Tests.Detection;

/// <summary>What names, flows and feeds add to a step that goes out.</summary>
public sealed class NameScenarioTests
{
    private const string Own = "172.17.0.2";
    private const string Resolver = "203.0.113.53";
    private const string Mirror = "mirror.corp.example";

    private static readonly DestinationPattern CorpNames = DestinationPattern.OfName("corp.example", true, 0, EgressProtocol.Unknown, "*.corp.example");

    private static CorePolicy Allowing(DestinationPattern pattern)
        => CorePolicy.Default with { AllowedDestinations = [new AllowedDestination(pattern, "configured", "packages", null)] };

    // A step runs as pid 300 with a shell 302; its address is proven unless said otherwise.
    private static Scene Step(CorePolicy? policy = null, bool located = true, bool host = false, BaselineMode? mode = null)
    {
        Scene scene = new Scene(policy, mode).Sensor("names", "active").Sensor("conntrack", "active")
            .Client(200, "docker", "build", "-t", "example/app:1", "/ctx")
            .SnapshotDockerfile(1, "FROM alpine:3\nRUN fetch\n")
            .BuildKitStep(1, 300, "fetch", host: host);
        return located ? Locate(scene) : scene;
    }

    private static Scene Locate(Scene scene, int pid = 302, string address = Own)
        => scene.Tell(new ProcessNetworkFact(pid, scene.Core.State.Tree.Find(pid)!.Started.Boot, [address], false));

    private static Scene Resolved(Scene scene, string name, string address, string client = Own, string server = Resolver)
    {
        scene.Core.On(new NameResolved
        {
            At = scene.Now,
            Client = Scene.Address(client),
            Server = Scene.Address(server),
            Name = name,
            Address = Scene.Address(address),
            Ttl = 30,
            FromOutside = true,
        });
        return scene;
    }

    private static Scene Said(Scene scene, string name, NameSource source, string to = Scene.Evil, ushort port = 80, string client = Own)
    {
        scene.Core.On(new ServerNameSeen
        {
            At = scene.Now,
            Client = Scene.Address(client),
            ClientPort = 40000,
            Destination = Scene.To(to, port, EgressProtocol.Tcp),
            Name = name,
            Source = source,
        });
        return scene.After(600);
    }

    private static Egress Only(Scene scene) => scene.OnlyBuild.Steps.Single().Egress.Single();

    [Test]
    public void Names_from_the_resolver_and_the_request_stand_beside_the_destination()
    {
        Scene scene = Said(Resolved(Step(), "payload.evil.example", Scene.Evil).Connect(302), "payload.evil.example", NameSource.Host);

        Assert.That(Only(scene).Names, Is.EqualTo(new[]
        {
            new EgressName("payload.evil.example", NameSource.Dns),
            new EgressName("payload.evil.example", NameSource.Host),
        }));
        Assert.That(scene.Find("never-seen-egress")!.Message, Does.Contain("203.0.113.66:80/tcp (payload.evil.example)"));
    }

    [Test]
    public void A_name_that_somebody_else_resolved_is_not_the_steps()
    {
        Scene scene = Resolved(Step(), "other.example", Scene.Evil, client: "172.17.0.9").Connect(302).After(1000);

        Assert.That(Only(scene).Names, Is.Empty);
    }

    [Test]
    public void An_allowed_name_makes_whatever_address_it_has_today_known()
    {
        Scene scene = Resolved(Step(Allowing(CorpNames)), Mirror, Scene.Evil).Connect(302);

        Assert.That(Only(scene).Novelty, Is.EqualTo(Novelty.Known));
        Assert.That(Only(scene).Reason, Does.Contain("*.corp.example").And.Contains(Mirror).And.Contains("packages"));
        Assert.That(scene.Findings, Is.Empty);
    }

    [TestCase(NameSource.Sni)]
    [TestCase(NameSource.Host)]
    public void A_name_that_only_the_client_says_makes_nothing_known(NameSource source)
    {
        Scene scene = Said(Step(Allowing(CorpNames)).Connect(302), Mirror, source);

        Assert.That(Only(scene).Novelty, Is.EqualTo(Novelty.NeverSeen));
    }

    [Test]
    public void An_answer_of_a_resolver_that_nobody_configured_makes_nothing_known()
    {
        Scene scene = Resolved(Step(Allowing(CorpNames)), Mirror, Scene.Evil, server: "203.0.113.99").Connect(302).After(1000);

        Assert.That(Only(scene).Novelty, Is.EqualTo(Novelty.NeverSeen));
        Assert.That(Only(scene).Names, Is.Not.Empty);
    }

    [Test]
    public void Whose_the_question_was_may_be_proven_a_moment_later()
    {
        Scene scene = Resolved(Step(Allowing(CorpNames), located: false), Mirror, Scene.Evil).Connect(302);
        Assert.That(scene.Findings, Is.Empty);
        _ = Locate(scene).After(1000);

        Assert.That(Only(scene).Novelty, Is.EqualTo(Novelty.Known));
    }

    [Test]
    public void Without_that_proof_the_destination_is_told_all_the_same()
    {
        Scene scene = Resolved(Step(Allowing(CorpNames), located: false), Mirror, Scene.Evil).Connect(302).After(1000);

        Assert.That(Only(scene).Novelty, Is.EqualTo(Novelty.NeverSeen));
        Assert.That(scene.Find("never-seen-egress"), Is.Not.Null);
    }

    [Test]
    public void A_known_names_new_address_is_a_rotation()
    {
        Scene scene = Step();
        scene.Baseline.Learn(Scene.To("198.51.100.2", 80, EgressProtocol.Tcp), scene.Now, [Mirror]);
        _ = Resolved(scene, Mirror, Scene.Evil).Connect(302);

        Assert.That(Only(scene).Novelty, Is.EqualTo(Novelty.Known));
        Assert.That(Only(scene).Reason, Does.Contain("new address of " + Mirror));
    }

    [Test]
    public void A_proxy_that_is_known_is_asked_for_a_name_that_is_not()
    {
        Assert.That(DestinationPattern.TryParse(Scene.Evil, out DestinationPattern? proxy), Is.True);
        Scene scene = Said(Step(Allowing(proxy!)).Connect(302), "new.example:443", NameSource.Connect);

        Assert.That(Only(scene).Novelty, Is.EqualTo(Novelty.NeverSeen));
        Assert.That(scene.Find("never-seen-egress")!.Message, Does.Contain("new.example:443"));
    }

    [Test]
    public void An_address_belongs_to_the_step_that_runs_now()
    {
        Scene scene = Step().EndBuildKitStep(300).After(3000).BuildKitStep(2, 400, "fetch");
        _ = Locate(scene, 402).After(100);
        _ = Resolved(scene, "second.example", Scene.Evil).Connect(402);

        BuildStep[] steps = [.. scene.Builds.SelectMany(static b => b.Steps).Where(static s => s.Egress.Any())];
        Assert.That(steps.Single().Id, Is.EqualTo(Scene.StepId(2)));
        Assert.That(steps.Single().Egress.Single().Names.Single().Name, Is.EqualTo("second.example"));
    }

    [Test]
    public void A_flow_that_no_record_explains_took_a_way_around_them()
    {
        Scene scene = Step().Flow(port: 9999, protocol: EgressProtocol.Udp).After(3000);

        Assert.That(Only(scene).Path, Is.EqualTo(EgressPath.FlowOnly));
        Assert.That(scene.Find("unusual-egress-path")!.Severity, Is.EqualTo(Severity.High));
    }

    [Test]
    public void A_flow_whose_record_comes_late_is_explained()
    {
        Scene scene = Step().Flow(port: 9999, protocol: EgressProtocol.Udp).After(500).Connect(302, port: 9999, protocol: EgressProtocol.Udp).After(4000);

        Assert.That(Only(scene).Path, Is.EqualTo(EgressPath.Syscall));
        Assert.That(scene.Find("unusual-egress-path"), Is.Null);
    }

    [Test]
    public void An_unanswered_connect_may_block_for_minutes_before_it_is_recorded()
    {
        Scene scene = Step().Flow().After(60_000);
        Assert.That(scene.Findings, Is.Empty);
        _ = scene.Connect(302, outcome: EgressOutcome.TimedOut).EndBuildKitStep(300).After(5000);

        Assert.That(scene.Find("unusual-egress-path"), Is.Null);
    }

    [Test]
    public void Where_records_were_lost_a_flow_alone_accuses_nobody_of_hiding()
    {
        Scene scene = Step().Lost(100).Flow(port: 9999, protocol: EgressProtocol.Udp).After(3000);

        Assert.That(scene.Find("unusual-egress-path"), Is.Null);
        Assert.That(scene.Find("never-seen-egress"), Is.Not.Null);
    }

    [Test]
    public void Bytes_of_a_flow_are_the_destinations()
    {
        Scene scene = Step().Flow().Connect(302).After(200);
        _ = scene.Tell(new FlowsFact([new FlowCount(Own, 40000, Scene.Evil, 80, (int)EgressProtocol.Tcp, 120, 4000)]));
        _ = scene.Flow(ended: true, sent: 150, received: 5000);

        Assert.That((Only(scene).BytesSent, Only(scene).BytesReceived), Is.EqualTo((150ul, 5000ul)));
    }

    [TestCase("203.0.113.0/24")]
    [TestCase("evil.example")]
    public void What_is_on_a_feed_is_critical_also_while_the_host_learns(string listed)
    {
        var learning = new BaselineMode(true, DateTimeOffset.UnixEpoch, DateTimeOffset.MaxValue);
        Scene scene = Step(mode: learning);
        var feed = new IndicatorSetBuilder();
        feed.From("feed.txt");
        _ = PlainListReader.Read(Encoding.UTF8.GetBytes(listed), feed);
        scene.Core.ChangeIndicators(feed.Build());
        _ = Resolved(scene, "a.evil.example", Scene.Evil).Connect(302).After(300);

        Finding finding = scene.Find("indicator-match")!;
        Assert.That(finding.Severity, Is.EqualTo(Severity.Critical));
        Assert.That(finding.Message, Does.Contain(listed).And.Contains("feed.txt"));
        Assert.That(Only(scene).Indicator, Does.StartWith(listed));
        Assert.That(scene.OnlyBuild.Verdict, Is.EqualTo(Verdict.Malicious));
    }

    [TestCase("a1b2c3d4e5f6.duckdns.org", "machine-made name in the dynamic zone duckdns.org")]
    [TestCase("x.trycloudflare.com", "tunnel service")]
    [TestCase("abcdefgh.onion.ws", "onion")]
    [TestCase("pastebin.com", "paste host")]
    public void A_name_may_say_what_kind_of_place_it_leads_to(string name, string kind)
    {
        Scene scene = Resolved(Step(), name, Scene.Evil).Connect(302).After(300);

        Assert.That(scene.Find("indicator-match")!.Message, Does.Contain(kind));
        Assert.That(scene.Find("indicator-match")!.Severity, Is.EqualTo(Severity.High));
    }

    [Test]
    public void Long_machine_made_questions_below_one_zone_are_a_tunnel()
    {
        Scene scene = Step();
        for (int i = 0; i < 120; i++)
        {
            Asked(scene.After(10), Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData([(byte)i]).AsSpan(0, 24)) + ".exfil.example");
        }

        Finding finding = scene.After(300).Find("name-tunnel")!;
        Assert.That(finding.Severity, Is.EqualTo(Severity.High));
        Assert.That(finding.Message, Does.Contain("exfil.example"));
    }

    [Test]
    public void A_package_managers_questions_are_none()
    {
        Scene scene = Step();
        for (int i = 0; i < 400; i++)
        {
            Asked(scene.After(10), $"mirror{i % 20}.debian.corp.example");
        }

        Assert.That(scene.After(300).Find("name-tunnel"), Is.Null);
    }

    private static void Asked(Scene scene, string name) => scene.Core.On(new NameAsked
    {
        At = scene.Now,
        Client = Scene.Address(Own),
        Server = Scene.Address(Resolver),
        Name = name,
        Type = 1,
    });
}
