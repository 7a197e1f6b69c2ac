using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.History;
using ImageSentinel.Detection.Model;
using NUnit.Framework;

namespace ImageSentinel.Tests.Detection;

/// <summary>The engine's build history beside what was seen: it adds, it contradicts, it decides nothing.</summary>
[TestFixture]
public sealed class HistoryScenarioTests
{
    private const string Command = "echo good";
    private const string Text = "FROM alpine:3\nRUN " + Command + "\n";

    private static Scene Following() => new Scene().Tell(new HistoryStateFact(0, true, ""));

    private static Scene Step(Scene scene, int step = 1, int pid = 300) => scene
        .Client(200, "docker", "build", "-t", "example/app:1", "/ctx")
        .SnapshotDockerfile(step, Text)
        .BuildKitStep(step, pid, Command, "layer")
        .EndBuildKitStep(pid);

    private static Scene Ends(Scene scene) => scene
        .Image(1, ["base", "layer"], "example/app:1", $"RUN /bin/sh -c {Command} # buildkit")
        .Exit(200).After(12_000);

    private static Scene Started(Scene scene, string reference = "r1") => scene.Tell(Record(scene, BuildRecordChange.Started, reference));

    private static BuildRecordFact Record(Scene scene, BuildRecordChange change, string reference = "r1", long completed = 0, string error = "")
        => new(0, change, reference, "dockerfile.v0", [new BuildAttribute("filename", "Dockerfile"), new BuildAttribute("build-arg:TOKEN", "")],
            ["docker.io/example/app:1"], scene.Now.Wall, completed, error, 1, 3, "");

    private static Scene Vertex(Scene scene, string name, string reference = "r1", bool cached = false, string digest = "sha256:d1", long ago = 0)
        => scene.Tell(new BuildVertexFact(0, reference, [new BuildVertex(digest, name, cached, scene.Now.Wall - ago, cached ? scene.Now.Wall : 0, "")], []));

    private static Scene Completed(Scene scene, string reference = "r1") => scene.Tell(Record(scene, BuildRecordChange.Complete, reference, scene.Now.Wall));

    [Test]
    public void A_recorded_build_carries_its_record_and_raises_nothing()
    {
        Scene scene = Ends(Completed(Step(Vertex(Started(Following()), "[2/2] RUN " + Command))));

        BuildRecord record = scene.OnlyBuild.Record!;
        Assert.That(scene.Findings, Is.Empty);
        Assert.That(record.Ref, Is.EqualTo("r1"));
        Assert.That(record.Attributes.Select(static a => a.Name), Is.EqualTo(new[] { "filename", "build-arg:TOKEN" }));
        Assert.That((record.CachedSteps, record.TotalSteps), Is.EqualTo((1, 3)));
        Assert.That(scene.OnlyBuild.Verdict, Is.EqualTo(Verdict.Clean));
    }

    [Test]
    public void A_step_that_no_record_speaks_of_is_a_mismatch()
    {
        Scene scene = Ends(Step(Following()));

        Finding finding = scene.Find("record-mismatch")!;
        Assert.That(finding.Severity, Is.EqualTo(Severity.High));
        Assert.That(finding.Step, Is.SameAs(scene.OnlyBuild.Steps[0]));
    }

    [Test]
    public void A_step_of_another_time_is_no_witness()
    {
        Scene scene = Completed(Vertex(Started(Following()), "[2/2] RUN " + Command));
        scene = scene.Tell(new BuildVertexFact(0, "r1", [new BuildVertex("sha256:d1", "[2/2] RUN " + Command, false, scene.Now.Wall, scene.Now.Wall + 1, "")], []));

        Assert.That(Ends(Step(scene.After(20_000))).Find("record-mismatch"), Is.Not.Null);
    }

    [Test]
    public void A_step_whose_name_was_expanded_is_found_by_its_time()
    {
        Scene scene = Ends(Completed(Step(Vertex(Started(Following()), "[2/2] RUN echo expanded"))));

        Assert.That(scene.Findings, Is.Empty);
    }

    [TestCase("[internal] load build context")]
    [TestCase("[1/2] FROM alpine:3")]
    [TestCase("[2/2] COPY file /")]
    public void What_executes_nothing_is_no_witness_of_a_step(string name)
        => Assert.That(Ends(Completed(Step(Vertex(Started(Following()), name)))).Find("record-mismatch"), Is.Not.Null);

    [Test]
    public void One_recorded_step_does_not_cover_two()
    {
        Scene scene = Vertex(Started(Following()), "[2/2] RUN " + Command);
        scene = Ends(Step(scene).BuildKitStep(2, 310, "echo other").EndBuildKitStep(310));

        Assert.That(scene.Find("record-mismatch")!.Message, Does.Contain("echo other"));
    }

    [Test]
    public void Without_a_history_nothing_is_concluded()
    {
        Assert.That(Ends(Step(new Scene())).Findings, Is.Empty);
        Assert.That(Ends(Step(Following().Tell(new HistoryStateFact(0, false, "gone")))).Findings, Is.Empty);
    }

    [Test]
    public void A_history_that_is_followed_only_since_the_build_began_concludes_nothing()
        => Assert.That(Ends(Step(new Scene()).Tell(new HistoryStateFact(0, true, ""))).Findings, Is.Empty);

    [Test]
    public void While_a_records_steps_are_not_known_nothing_is_concluded()
        => Assert.That(Ends(Completed(Step(Started(Following())))).Findings, Is.Empty);

    [Test]
    public void A_record_that_began_after_the_step_does_not_hide_it()
    {
        Scene scene = Step(Following()).Image(1, ["base", "layer"], "example/app:1", $"RUN /bin/sh -c {Command} # buildkit").Exit(200).After(900);

        Assert.That(Started(scene, "later").After(12_000).Find("record-mismatch"), Is.Not.Null);
    }

    [Test]
    public void A_build_that_came_whole_from_the_cache_gets_its_image_from_the_record()
    {
        Scene scene = Started(Following().Client(200, "docker", "build", "-t", "example/app:1", "/ctx").SnapshotDockerfile(1, Text))
            .Tell(new BuildVertexFact(0, "r1", [], ["docker.io/example/app:1"]));
        _ = scene.Tell(Record(scene, BuildRecordChange.Complete) with { CompletedWall = scene.Now.Wall, ImageId = "sha256:" + Scene.Hex(5) }).Exit(200).After(12_000);

        Build build = scene.OnlyBuild;
        Assert.That(build.ImageId, Is.EqualTo("sha256:" + Scene.Hex(5)));
        Assert.That(build.Tags, Is.EqualTo(new[] { "example/app:1" }));
        Assert.That(build.Result, Is.EqualTo(BuildResult.Succeeded));
    }

    [Test]
    public void A_fresh_record_that_is_deleted_is_a_mismatch_that_names_who_was_there()
    {
        Scene scene = Ends(Completed(Step(Vertex(Started(Following()), "[2/2] RUN " + Command))));
        _ = Completed(Started(scene, "other"), "other")
            .Client(400, "python3", "grpc-call.py").Tell(Record(scene, BuildRecordChange.Deleted)).After(5000);

        Finding finding = scene.Find("record-mismatch")!;
        Assert.That(finding.Severity, Is.EqualTo(Severity.High));
        Assert.That(finding.Message, Does.Contain("grpc-call.py"));
        Assert.That(scene.Builds[0].Record!.Deleted, Is.Not.Null);
    }

    [Test]
    public void An_administrators_sweep_of_clean_builds_is_no_mismatch()
    {
        Scene scene = Ends(Completed(Step(Vertex(Started(Following()), "[2/2] RUN " + Command))));
        _ = Completed(Started(scene, "other"), "other")
            .Tell(Record(scene, BuildRecordChange.Deleted)).Tell(Record(scene, BuildRecordChange.Deleted, "other")).After(5000);

        Assert.That(scene.Findings, Is.Empty);
    }

    [Test]
    public void The_engines_own_clean_up_of_old_records_is_no_mismatch()
    {
        Scene scene = Ends(Step(Vertex(Started(Following()), "[2/2] RUN " + Command)));
        _ = scene.Tell(Record(scene, BuildRecordChange.Complete, completed: scene.Now.Wall - (3 * 24 * 3600 * Stamp.Second)))
            .Tell(Record(scene, BuildRecordChange.Deleted)).After(5000);

        Assert.That(scene.Findings, Is.Empty);
    }

    [Test]
    public void Cached_steps_and_the_outcome_come_from_the_record()
    {
        Scene scene = Step(Vertex(Vertex(Started(Following()), "[2/3] RUN echo before", cached: true, digest: "sha256:d0"), "[3/3] RUN " + Command))
            .Tell(Record(Following(), BuildRecordChange.Complete, error: "failed to solve: no such file")).Exit(200).After(12_000);

        Build build = scene.OnlyBuild;
        Assert.That(build.Steps.Where(static s => s.Cached).Select(static s => s.Instruction), Is.EqualTo(new[] { "RUN echo before" }));
        Assert.That(build.Result, Is.EqualTo(BuildResult.Failed));
    }

    [TestCase("[2/3] RUN curl x", "RUN curl x", true, true)]
    [TestCase("[build 2/3] RUN --mount=type=cache,target=/x make", "RUN --mount=type=cache,target=/x make", true, true)]
    [TestCase("[internal] load metadata for a:1", "load metadata for a:1", false, false)]
    [TestCase("[1/3] FROM a:1", "FROM a:1", false, false)]
    [TestCase("exporting to image", "exporting to image", false, false)]
    [TestCase("anything a frontend says", "anything a frontend says", false, true)]
    public void A_steps_name_says_what_it_may_be(string name, string instruction, bool run, bool executes)
    {
        Assert.That(VertexName.Instruction(name), Is.EqualTo(instruction));
        Assert.That(VertexName.IsRun(name), Is.EqualTo(run));
        Assert.That(VertexName.MayExecute(name), Is.EqualTo(executes));
    }
}
