using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Model;
using NUnit.Framework;

namespace ImageSentinel.Tests.Detection;

/// <summary>What becomes of an attempt: its answer, and attempts that were there before the agent knew whose they are.</summary>
[TestFixture]
public sealed class EgressTests
{
    private const string Bundle = "/var/lib/docker/buildkit/executor/";

    private static Scene Step(Scene scene, int step = 1, int pid = 300) => scene.BuildKitStep(step, pid, "curl http://203.0.113.66/x");

    private static Egress Only(Scene scene) => scene.Builds[0].Steps.SelectMany(static s => s.Egress).Single();

    [TestCase(EgressOutcome.Established)]
    [TestCase(EgressOutcome.Refused)]
    public void A_connect_under_way_takes_the_answer_that_connection_tracking_saw(EgressOutcome answer)
    {
        Scene scene = Step(new Scene()).Connect(302, outcome: EgressOutcome.InProgress).Flow();
        Assert.That(Only(scene).Outcome, Is.EqualTo(EgressOutcome.InProgress));

        scene = scene.Flow(answer: answer);
        Assert.That(Only(scene).Outcome, Is.EqualTo(answer));
        Assert.That(scene.Findings.Single().Message, Does.Not.Contain("in progress"));
    }

    [Test]
    public void An_answer_that_overtook_the_record_of_its_connect_is_not_lost()
    {
        Scene scene = Step(new Scene()).Flow().Flow(answer: EgressOutcome.Refused)
            .Connect(302, outcome: EgressOutcome.InProgress, calledEarlier: 5 * Stamp.Millisecond);

        Assert.That(Only(scene).Outcome, Is.EqualTo(EgressOutcome.Refused));
    }

    [Test]
    public void A_reset_of_a_connection_that_was_established_is_no_refusal()
    {
        Scene scene = Step(new Scene()).Connect(302, outcome: EgressOutcome.InProgress)
            .Flow(answer: EgressOutcome.Established).Flow(answer: EgressOutcome.Refused);

        Assert.That(Only(scene).Outcome, Is.EqualTo(EgressOutcome.Established));
    }

    [Test]
    public void An_answer_that_two_steps_wait_for_settles_neither()
    {
        Scene scene = Step(Step(new Scene()), step: 2, pid: 400);
        scene = scene.Connect(302, outcome: EgressOutcome.InProgress).Connect(402, outcome: EgressOutcome.InProgress)
            .Flow(answer: EgressOutcome.Established);

        Assert.That(
            scene.Builds.SelectMany(static b => b.Steps).SelectMany(static s => s.Egress).Select(static e => e.Outcome),
            Is.All.EqualTo(EgressOutcome.InProgress));
    }

    [Test]
    public void An_answer_to_somebody_elses_connect_settles_nothing()
    {
        Scene scene = Step(new Scene()).Connect(302, outcome: EgressOutcome.InProgress)
            .Flow(port: 81, answer: EgressOutcome.Refused).Flow(address: "203.0.113.67", answer: EgressOutcome.Refused);

        Assert.That(Only(scene).Outcome, Is.EqualTo(EgressOutcome.InProgress));
    }

    [Test]
    public void A_datagram_that_overtook_the_record_of_its_connect_was_sent()
    {
        Scene scene = Step(new Scene()).Flow(port: 5353, protocol: EgressProtocol.Udp)
            .Connect(302, port: 5353, protocol: EgressProtocol.Udp, outcome: EgressOutcome.Sent, addressOnly: true, calledEarlier: 5 * Stamp.Millisecond);

        Assert.That(scene.Findings.Single().Message, Does.Contain("5353/udp"));
    }

    [Test]
    public void A_step_cannot_hide_a_new_destination_behind_hundreds_of_known_ones()
    {
        Assert.That(DestinationPattern.TryParse("198.51.100.5", out DestinationPattern? known), Is.True);
        Scene scene = Step(new Scene(CorePolicy.Default with { AllowedDestinations = [new AllowedDestination(known!, "configured", "", null)] }));
        for (ushort port = 1000; port < 1300; port++)
        {
            scene = scene.Connect(302, "198.51.100.5", port);
        }

        scene = scene.Connect(302);

        Assert.That(scene.Findings.Single().Message, Does.Contain(Scene.Evil));
        Assert.That(scene.Builds[0].Steps[0].Egress.Count(), Is.EqualTo(256));
        Assert.That(scene.Builds[0].Steps[0].EgressBeyond, Is.EqualTo(45));
    }

    [Test]
    public void Where_the_engine_went_for_nobodys_build_is_as_new_as_where_a_container_went()
    {
        Scene scene = new Scene().Connect(Scene.Daemon, exe: "/usr/bin/dockerd").After(6000);
        Assert.That(scene.Baseline.Seen.All().Single().OnTrial, Is.True);

        scene = Step(scene).Connect(302);
        Assert.That(scene.Findings.Single().Detector.Id, Is.EqualTo("never-seen-egress"));
    }

    [TestCase("203.0.113.67", EgressProtocol.Tcp, 1)]
    [TestCase("203.0.113.67", EgressProtocol.Udp, 0)]
    [TestCase("203.0.113.53", EgressProtocol.Tcp, 0)]
    public void Port_53_hides_a_fetch_of_the_engine_only_where_it_asks_names(string address, EgressProtocol protocol, int fetches)
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "-t", "example/app:1", "/ctx")
            .SnapshotDockerfile(1, $"FROM alpine:3\nADD http://{address}:53/x /x\nRUN echo good\n")
            .Connect(Scene.Daemon, address, 53, protocol, exe: "/usr/bin/dockerd")
            .BuildKitStep(1, 300, "echo good").EndBuildKitStep(300).After(6000);

        Assert.That(scene.Builds[0].Fetches, Has.Count.EqualTo(fetches));
        Assert.That(scene.Findings, Has.Count.EqualTo(fetches));
    }

    [Test]
    public void A_users_program_that_calls_itself_a_runtime_makes_no_build()
    {
        string id = Scene.StepId(1);
        Scene scene = new Scene().Fork(Scene.Shell, 300)
            .Exec(300, Scene.Shell, 1000, "runc", "run", "--bundle", Bundle + id, id)
            .Fork(300, 301).Exec(301, 300, 1000, "curl", "http://203.0.113.66/x").Connect(301).Exit(301).Exit(300).After(5000);

        Assert.That(scene.Builds, Is.Empty);
        Assert.That(scene.Findings, Is.Empty);
    }

    // The record of a connect can be read before /proc is: then nobody knows yet that a step made it.
    [Test]
    public void What_a_step_tried_before_the_process_table_was_read_is_the_steps_and_teaches_nothing()
    {
        string id = Scene.StepId(1);
        Scene scene = new Scene(ready: false)
            .Connect(302, parent: 301, exe: "/bin/sh")
            .Tell(new ProcessFact(302, 301, 5, 0, 0, uint.MaxValue, uint.MaxValue, "/bin/sh", ["/bin/sh"], "/", ""))
            .Tell(new ProcessFact(300, Scene.Daemon, 3, 0, 0, uint.MaxValue, uint.MaxValue, "/usr/sbin/runc", ["runc", "run", "--bundle", Bundle + id, id], "/", ""))
            .Tell(new ProcessFact(301, 300, 4, 0, 0, uint.MaxValue, uint.MaxValue, "/bin/sh", ["/bin/sh", "-c", "x"], "/", ""))
            .Tell(new ProcessFact(302, 301, 5, 0, 0, uint.MaxValue, uint.MaxValue, "/bin/sh", ["/bin/sh"], "/", ""))
            .Tell(new BundleFact(0, id, Bundle + id, ["/bin/sh", "-c", "x"], "/", true, false, "", "", false, ""));
        Assert.That(scene.Findings, Is.Empty);

        scene = scene.Tell(new ReadyFact(false, false, "")).After(1000);

        Assert.That(scene.Findings.Select(static f => f.Detector.Id), Does.Contain("never-seen-egress"));
        Assert.That(Only(scene).Novelty, Is.EqualTo(Novelty.NeverSeen));
    }

    [Test]
    public void What_the_host_tried_while_the_agent_started_is_learned_once_it_is_ready()
    {
        Scene scene = new Scene(ready: false).Connect(Scene.Shell);
        Assert.That(scene.Baseline.Judge(Scene.To(Scene.Evil), scene.Now.Time).Novelty, Is.Not.EqualTo(Novelty.Known));

        scene = scene.Tell(new ReadyFact(false, false, ""));
        Assert.That(scene.Baseline.Judge(Scene.To(Scene.Evil), scene.Now.Time).Novelty, Is.EqualTo(Novelty.Known));
    }
}
