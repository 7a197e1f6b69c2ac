using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Posture;
using NUnit.Framework;

namespace ImageSentinel.Tests.Detection;

/// <summary>How an engine is set up: judged, told once, and weighed where a build's requester came in by it.</summary>
[TestFixture]
public sealed class PostureTests
{
    private static PostureFact Sound { get; } = new(
        0, "/run/docker.sock", 0b110_110_000, "root", "docker", [], [], false, false, ["opa"], [], ["seccomp", "userns"], [], 0, []);

    private static PostureContainer Container(string name, string user = "1000", bool privileged = false, string source = "", string builder = "")
        => new(new string('c', 64), name, "example/app:1", user, privileged, source, source.Length > 0 ? "/var/run/docker.sock" : "", builder);

    private static PostureCheck Judge(PostureFact fact, DetectorDefinition detector)
        => PostureRules.Judge(fact).Single(c => ReferenceEquals(c.Detector, detector));

    [Test]
    public void A_sound_engine_has_nothing_to_mend()
    {
        IReadOnlyList<PostureCheck> checks = PostureRules.Judge(Sound);

        Assert.That(checks.Select(static c => c.Detector), Is.EquivalentTo(PostureDetectors.All));
        Assert.That(checks.Select(static c => c.Result), Is.All.EqualTo(PostureResult.Ok));
    }

    [Test]
    public void Every_weakness_has_evidence_a_fix_and_a_mitigation()
    {
        PostureFact weak = Sound with
        {
            SocketMode = 0b110_110_110,
            Listeners = [new ApiListener("0.0.0.0", 2375)],
            AuthorizationPlugins = [],
            InsecureRegistries = ["registry.corp.example:5000"],
            SecurityOptions = ["seccomp"],
            Containers = [Container("web", "", true, "/run/docker.sock", "buildkitd")],
        };

        foreach (PostureCheck check in PostureRules.Judge(weak))
        {
            using (Assert.EnterMultipleScope())
            {
                Assert.That(check.Result, Is.EqualTo(PostureResult.Weak), check.Detector.Id);
                Assert.That(check.Evidence, Is.Not.Empty, check.Detector.Id);
                Assert.That(check.Fix, Is.Not.Empty, check.Detector.Id);
                Assert.That(check.Detector.Mitigations, Is.Not.Empty.And.SubsetOf(new[] { "M1026", "M1030", "M1035", "M1047" }));
            }
        }
    }

    [TestCase("0.0.0.0", false, false, Severity.Critical)]
    [TestCase("198.18.0.1", false, false, Severity.Critical)]
    [TestCase("127.0.0.1", false, false, Severity.High)]
    [TestCase("::", true, false, Severity.Critical)]
    [TestCase("0.0.0.0", true, true, Severity.Low)]
    [TestCase("127.0.0.1", true, true, Severity.None)]
    public void An_API_on_the_network_weighs_by_who_reaches_it_and_what_it_asks_of_them(string address, bool tls, bool verify, Severity severity)
        => Assert.That(
            Judge(Sound with { Listeners = [new ApiListener(address, 2375)], Tls = tls, TlsVerify = verify }, PostureDetectors.ApiOverTcp).Severity,
            Is.EqualTo(severity));

    [Test]
    public void What_could_not_be_read_is_unknown_and_not_sound()
    {
        PostureFact blind = Sound with { SocketMode = 0, AuthorizationPlugins = [], SecurityOptions = [], Unread = ["engine: permission denied", "containers: permission denied", "listeners: hidden"] };

        Assert.That(
            PostureRules.Judge(blind).Select(static c => c.Result),
            Is.All.EqualTo(PostureResult.Unknown));
    }

    [Test]
    public void Names_that_others_chose_are_shown_escaped()
    {
        PostureCheck check = Judge(Sound with { Containers = [Container("web\u001b[31m", source: "/run/docker.sock\n")] }, PostureDetectors.SocketInContainer);

        Assert.That(string.Concat(check.Evidence) + check.Found, Does.Not.Contain("\u001b").And.Not.Contain("\n"));
    }

    [Test]
    public void A_weakness_is_told_once_when_it_changes_and_when_it_is_gone()
    {
        PostureFact open = Sound with { Listeners = [new ApiListener("0.0.0.0", 2375)] };
        Scene scene = new Scene().Tell(open).Tell(open);
        Finding finding = scene.Findings.Single();
        string first = finding.Message;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(finding.Detector.Id, Is.EqualTo("posture-api-tcp"));
            Assert.That(finding.Severity, Is.EqualTo(Severity.Critical));
            Assert.That(first, Does.Contain("0.0.0.0:2375"));
            Assert.That(scene.Told, Is.EqualTo(1));
        }

        scene.Tell(open with { Listeners = [new ApiListener("127.0.0.1", 2375)] });
        Assert.That((scene.Told, finding.Severity), Is.EqualTo((2, Severity.High)));

        scene.Tell(Sound).Tell(Sound);
        Assert.That(scene.Told, Is.EqualTo(3));
        Assert.That(finding.Message, Does.Contain("local socket only"));
    }

    [Test]
    public void Containers_that_come_and_go_as_root_are_not_told_each_time()
    {
        PostureFact one = Sound with { SecurityOptions = [], Containers = [Container("a", "")] };
        Scene scene = new Scene().Tell(one).Tell(one with { Containers = [Container("a", ""), Container("b", "root")] });

        Assert.That(scene.Told, Is.EqualTo(1));
    }

    [Test]
    public void A_build_by_an_open_door_says_which_door()
    {
        Scene scene = new Scene()
            .Tell(Sound with { Listeners = [new ApiListener("0.0.0.0", 2375)] })
            .RemoteApi("198.51.100.9")
            .SnapshotDockerfile(1, "FROM alpine:3\nRUN curl http://203.0.113.66/x\n")
            .BuildKitStep(1, 300, "curl http://203.0.113.66/x")
            .Connect(302)
            .EndBuildKitStep(300).After(20_000);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(scene.Find("build-by-unexpected-client")!.Severity, Is.EqualTo(Severity.Critical));
            Assert.That(scene.Find("build-by-unexpected-client")!.Message, Does.Contain("0.0.0.0:2375 without TLS"));
            Assert.That(scene.Find("never-seen-egress")!.Severity, Is.EqualTo(Severity.Critical));
        }
    }

    [Test]
    public void An_unlisted_user_is_worse_where_the_socket_is_open_to_all()
    {
        var policy = CorePolicy.Default with { TrustedClients = [new TrustedClient("ci", null, "", null, "", "")] };
        Scene scene = new Scene(policy)
            .Tell(Sound with { SocketMode = 0b110_110_110 })
            .Client(200, "docker", "build", "-t", "example/app:1", "/ctx")
            .SnapshotDockerfile(1, "FROM alpine:3\nRUN true\n")
            .BuildKitStep(1, 300, "true")
            .EndBuildKitStep(300).Exit(200).After(20_000);

        Assert.That(scene.Find("build-by-unexpected-client")!.Severity, Is.EqualTo(Severity.High));
    }
}
