using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;
using NUnit.Framework;

namespace ImageSentinel.Tests.Detection;

/// <summary>Who asked, on the ways that are not a local docker command.</summary>
[TestFixture]
public sealed class RequesterTests
{
    private static EngineFact Listening { get; } = new(
        0, "/run/docker.sock", Scene.Socket, Scene.Daemon, 0, "/var/lib/docker", "/run/docker", "20.10", "overlay2", [], ["tcp://0.0.0.0:2375"], false, true, "");

    private static Build StepOf(Scene scene) => scene
        .SnapshotDockerfile(1, "FROM alpine:3\nRUN true\n")
        .BuildKitStep(1, 300, "true")
        .EndBuildKitStep(300).After(20_000).OnlyBuild;

    [TestCase(true)]
    [TestCase(false)]
    public void A_TCP_client_on_this_host_is_named_by_its_process(bool connectFirst)
    {
        Scene scene = new Scene().Tell(Listening).Run(Scene.Shell, 200, "curl", "http://127.0.0.1:2375/build?t=x");
        scene = connectFirst
            ? scene.Connect(200, "127.0.0.1", 2375).RemoteApi("127.0.0.1")
            : scene.RemoteApi("127.0.0.1").Connect(200, "127.0.0.1", 2375);

        BuildClient client = StepOf(scene).Clients.Single();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(client.Transport, Is.EqualTo(Transport.Tcp));
            Assert.That(client.Address.ToString(), Is.EqualTo("127.0.0.1"));
            Assert.That(client.Process!.Pid, Is.EqualTo(200));
            Assert.That(scene.Find("build-by-unexpected-client")!.Severity, Is.EqualTo(Severity.Critical));
        }
    }

    [Test]
    public void A_remote_host_is_not_taken_for_a_process_that_connects_beside_it()
    {
        Scene scene = new Scene().Tell(Listening)
            .Run(Scene.Shell, 200, "curl", "http://127.0.0.1:2375/info").Connect(200, "127.0.0.1", 2375).RemoteApi("127.0.0.1").Exit(200)
            .RemoteApi("203.0.113.9");

        BuildClient client = StepOf(scene).Clients[0];

        Assert.That((client.Address.ToString(), client.Process), Is.EqualTo(("203.0.113.9", (ProcessSnapshot?)null)));
    }

    [Test]
    public void What_a_remote_client_asked_for_is_told_and_a_poller_is_not_taken_for_it()
    {
        Scene scene = new Scene().Tell(Listening)
            .RemoteApi("203.0.113.9", 40000).Request("203.0.113.9", 40000, "GET", "/v1.41/info")
            .RemoteApi("203.0.113.10", 40001).Request("203.0.113.10", 40001, "POST", "/v1.41/build?t=evil%3A1")
            .RemoteApi("203.0.113.9", 40002).Request("203.0.113.9", 40002, "GET", "/v1.41/info");

        BuildClient client = StepOf(scene).Clients.Single();

        using (Assert.EnterMultipleScope())
        {
            Assert.That((client.Address.ToString(), client.Port), Is.EqualTo(("203.0.113.10", (ushort)40001)));
            Assert.That(client.Requests, Is.EqualTo(new[] { "POST /v1.41/build?t=evil%3A1" }));
            Assert.That(scene.Find("build-by-unexpected-client")!.Message, Does.Contain("POST /v1.41/build"));
        }
    }

    [Test]
    public void A_container_that_uses_the_APIs_port_elsewhere_is_no_client()
    {
        Scene scene = new Scene().Tell(Listening).RemoteApi("203.0.113.9")
            .Request("203.0.113.9", 40000, "POST", "/build", server: "203.0.113.200");

        Assert.That(StepOf(scene).Clients.Single().Requests, Is.Empty);
    }

    [Test]
    public void What_comes_through_SSH_names_the_relay_and_its_session()
    {
        Scene scene = new Scene()
            .Tell(new ProcessFact(60, 1, 5, 0, 0, uint.MaxValue, uint.MaxValue, "/usr/sbin/sshd", ["sshd: ann@notty"], "/", ""))
            .Run(60, 61, "docker", "system", "dial-stdio").Api(61)
            .Run(60, 62, "docker", "system", "dial-stdio").Api(62);

        BuildClient client = StepOf(scene).Clients.Single();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(client.Process!.Pid, Is.AnyOf(61, 62));
            Assert.That(client.Confidence, Is.EqualTo(1));
            Assert.That(ClientOrigin.Of(client.Process), Is.EqualTo("SSH session (pid 60, sshd: ann@notty)"));
            Assert.That(client.Reason, Does.Contain("relays"));
        }
    }

    [TestCase("curl -sN --unix-socket /run/docker.sock http://engine/v1.41/events", ClientIntent.Other)]
    [TestCase("curl -s http://engine/info http://engine/containers/json?all=1", ClientIntent.Other)]
    [TestCase("curl -s -K /tmp/urls http://engine/info", ClientIntent.Unknown)]
    [TestCase("curl -s http://engine/info http://engine/grpc", ClientIntent.Unknown)]
    [TestCase("curl -XPOST http://engine/v1.41/build?t=a", ClientIntent.Build)]
    [TestCase("docker system dial-stdio", ClientIntent.Unknown)]
    [TestCase("docker system df", ClientIntent.Other)]
    public void A_command_line_is_a_hint_of_what_is_asked(string line, ClientIntent intent)
        => Assert.That(ClientCommand.Parse(line.Split(' ')).Intent, Is.EqualTo(intent));

    [Test]
    public void A_follower_and_a_poller_are_not_taken_for_the_one_who_builds()
    {
        Scene scene = new Scene()
            .Client(210, "docker", "events")
            .Run(Scene.Shell, 211, "curl", "--unix-socket", "/run/docker.sock", "http://engine/info").Api(211)
            .Run(Scene.Shell, 212, "python3", "attack.py").Api(212);

        Assert.That(StepOf(scene).Clients.Select(static c => c.Process!.Pid), Is.EqualTo(new[] { 212 }));
    }

    [Test]
    public void A_flood_of_connections_does_not_drive_out_who_builds()
    {
        Scene scene = new Scene().Client(200, "docker", "build", "-t", "a:1", "/ctx");
        for (uint i = 0; i < 10_000; i++)
        {
            _ = scene.Core.State.Clients.Accept(0, NetAddress.FromIPv4(0xC6336400 + i), 1, false, scene.Now);
        }

        Assert.That(scene.Core.State.Clients.Sessions, Has.Count.LessThanOrEqualTo(4096));
        Assert.That(StepOf(scene).Clients[0].Process!.Pid, Is.EqualTo(200));
    }
}
