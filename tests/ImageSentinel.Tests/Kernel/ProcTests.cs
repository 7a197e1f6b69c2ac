using System.Buffers;
using System.Text;
using ImageSentinel.Kernel.Proc;
using NUnit.Framework;

namespace ImageSentinel.Tests.Kernel;

public sealed class ProcTests
{
    private const string Container = "07fb12f1c23d6098a46154324a2556c50f553f3a36be6266c4e085360dc9ff17";
    private const string Other = "17fb12f1c23d6098a46154324a2556c50f553f3a36be6266c4e085360dc9ff17";
    private const string Step = "b3u93kacw7b9o3cl5y9liartq";

    private const string StatTail = " S 8678 8679 3412 0 -1 4194304 117 0 0 0 0 0 0 0 20 0 1 0 205447 3133440 390 18446744073709551615\n";

    [TestCase("cat")]
    [TestCase("a b")]
    [TestCase(") R 1 (")]
    [TestCase("x) S 1 1 1")]
    [TestCase("")]
    [TestCase("\n")]
    public void A_start_time_is_read_whatever_the_name(string name)
    {
        Assert.That(ProcStat.TryParse(Encoding.ASCII.GetBytes($"8680 ({name}){StatTail}"), out ProcStat stat), Is.EqualTo(OperationStatus.Done));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(stat.ProcessId, Is.EqualTo(8680));
            Assert.That(Encoding.ASCII.GetString(stat.Command), Is.EqualTo(name));
            Assert.That((char)stat.State, Is.EqualTo('S'));
            Assert.That(stat.ParentProcessId, Is.EqualTo(8678));
            Assert.That((stat.ProcessGroup, stat.Session), Is.EqualTo((8679, 3412)));
            Assert.That(stat.StartTimeTicks, Is.EqualTo(205447));
        }
    }

    [Test]
    public void A_stat_that_is_cut_is_refused_at_every_length()
    {
        byte[] content = Encoding.ASCII.GetBytes($"8680 (cat){StatTail}");
        int whole = content.AsSpan().IndexOf("205447 "u8) + 7;
        for (int length = 0; length < whole; length++)
        {
            Assert.That(ProcStat.TryParse(content.AsSpan(0, length), out _), Is.Not.EqualTo(OperationStatus.Done), $"{length}");
        }
    }

    [Test]
    public void Our_own_stat_and_status_agree()
    {
        Assert.That(ProcStat.TryParse(File.ReadAllBytes("/proc/self/stat"), out ProcStat stat), Is.EqualTo(OperationStatus.Done));
        Assert.That(ProcStatus.TryParse(File.ReadAllBytes("/proc/self/status"), out ProcStatus status), Is.EqualTo(OperationStatus.Done));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(stat.ProcessId, Is.EqualTo(status.ProcessId));
            Assert.That(stat.ParentProcessId, Is.EqualTo(status.ParentProcessId));
            Assert.That(stat.ProcessId, Is.EqualTo(Environment.ProcessId));
            Assert.That(stat.StartTimeTicks, Is.Positive);
        }
    }

    [Test]
    public void The_pid_inside_a_container_is_the_last_of_its_line()
    {
        byte[] content = "Name:\tsh\nUmask:\t0022\nTgid:\t4711\nPPid:\t4700\nTracerPid:\t0\nUid:\t0\t33\t0\t0\nGid:\t5\t6\t5\t5\nNSpid:\t4711\t12\t1\n"u8.ToArray();

        Assert.That(ProcStatus.TryParse(content, out ProcStatus status), Is.EqualTo(OperationStatus.Done));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(status.InnermostProcessId, Is.EqualTo(1));
            Assert.That(status.NamespaceDepth, Is.EqualTo(3));
            Assert.That((status.UserId, status.EffectiveUserId, status.GroupId, status.EffectiveGroupId), Is.EqualTo((0u, 33u, 5u, 6u)));
        }
    }

    [TestCase($"/docker/{Container}", Container, "")]
    [TestCase($"/innocent/{Container}", Container, "")]
    [TestCase($"/docker/buildkit/{Step}", "", Step)]
    [TestCase($"/innocent/buildkit/{Step}", "", Step)]
    [TestCase($"/docker/buildx/{Container}/buildkit/{Step}", Container, Step)]
    [TestCase($"/system.slice/docker-{Container}.scope", Container, "")]
    [TestCase($"/system.slice/docker-{Step}.scope", "", Step)]
    [TestCase($"/docker/{Container}/init.scope", Container, "")]
    [TestCase($"/docker/{Container}/{Other}", Container, "", TestName = "A_group_made_inside_a_container_does_not_rename_it")]
    [TestCase($"/docker/buildkit/{Step}/docker/{Container}", "", Step, TestName = "A_group_made_inside_a_step_does_not_rename_it")]
    [TestCase("/buildah-buildah123456", "", "buildah-buildah123456")]
    [TestCase("/buildah-buildah", "", "")]
    [TestCase("/../..", "", "")]
    [TestCase("/", "", "")]
    [TestCase($"/docker/{Step}", "", "", TestName = "A_step_id_without_its_parent_says_nothing")]
    [TestCase("/docker/07FB12F1C23D6098A46154324A2556C50F553F3A36BE6266C4E085360DC9FF17", "", "")]
    public void A_cgroup_tells_whose_it_is(string path, string container, string step)
    {
        foreach (string content in new[] { $"0::{path}\n", $"9:name=systemd:/\n4:memory:{path}\n0::{path}", $"0::{path} (deleted)\n" })
        {
            CgroupIdentity identity = CgroupIdentity.FromFile(Encoding.ASCII.GetBytes(content));
            Assert.That(Encoding.ASCII.GetString(identity.ContainerId), Is.EqualTo(container), content);
            Assert.That(Encoding.ASCII.GetString(identity.StepId), Is.EqualTo(step), content);
        }
    }

    [Test]
    public void An_overlay_mount_tells_its_upper_directory()
    {
        byte[] line = Encoding.ASCII.GetBytes(
            $"512 22 0:44 / /var/lib/docker/buildkit/executor/{Step}/rootfs rw,relatime shared:5 master:1 - overlay overlay "
            + @"rw,lowerdir=/l/A:/l/B,upperdir=/var/lib/docker/over\040lay2/abc\054x/diff,workdir=/w,upperdirx=/no");

        Assert.That(MountRecord.TryParse(line, out MountRecord mount), Is.EqualTo(OperationStatus.Done));
        Assert.That(mount.TryFindOption("upperdir"u8, out ReadOnlySpan<byte> raw), Is.True);
        byte[] upper = new byte[256];
        Assert.That(MountRecord.Unescape(raw, upper, out int length), Is.EqualTo(OperationStatus.Done));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(mount.IsOverlay, Is.True);
            Assert.That((mount.MountId, mount.ParentId, mount.DeviceMajor, mount.DeviceMinor), Is.EqualTo((512, 22, 0u, 44u)));
            Assert.That(Encoding.ASCII.GetString(mount.MountPoint), Does.EndWith($"{Step}/rootfs"));
            Assert.That(Encoding.ASCII.GetString(upper, 0, length), Is.EqualTo("/var/lib/docker/over lay2/abc,x/diff"));
            Assert.That(mount.TryFindOption("missing"u8, out _), Is.False);
        }
    }

    [Test]
    public void Every_mount_of_this_machine_is_read()
    {
        foreach (string line in File.ReadAllLines("/proc/self/mountinfo", Encoding.Latin1))
        {
            Assert.That(MountRecord.TryParse(Encoding.Latin1.GetBytes(line), out MountRecord mount), Is.EqualTo(OperationStatus.Done), line);
            Assert.That(MountRecord.Unescape(mount.MountPoint, new byte[4096], out _), Is.EqualTo(OperationStatus.Done), line);
        }
    }

    [TestCase("")]
    [TestCase("1 2 3:4")]
    [TestCase("x 2 3:4 / / rw - ext4 d rw")]
    [TestCase("1 2 34 / / rw - ext4 d rw")]
    [TestCase("1 2 3:4 / / rw shared:1 ext4 d rw")]
    [TestCase("1 2 3:4 / / rw -")]
    public void Mounts_that_are_none_are_refused(string line)
        => Assert.That(MountRecord.TryParse(Encoding.ASCII.GetBytes(line), out _), Is.Not.EqualTo(OperationStatus.Done));

    [TestCase(@"a\04")]
    [TestCase(@"a\777")]
    [TestCase(@"a\xyz")]
    public void Escapes_that_are_none_are_refused(string raw)
        => Assert.That(MountRecord.Unescape(Encoding.ASCII.GetBytes(raw), new byte[16], out _), Is.EqualTo(OperationStatus.InvalidData));

    [TestCase(10u)]
    [TestCase(uint.MaxValue - 1)]
    [TestCase(uint.MaxValue)]
    public void Gaps_are_counted_for_each_processor_by_signed_distance(uint first)
    {
        var sequence = new ProcSequence();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(sequence.Note(0, first), Is.Zero);
            Assert.That(sequence.Note(1, 500), Is.Zero);
            Assert.That(sequence.Note(0, unchecked(first + 1)), Is.Zero);
            Assert.That(sequence.Note(0, unchecked(first + 5)), Is.EqualTo(3));
            Assert.That(sequence.Note(0, unchecked(first + 5)), Is.Zero, "the same again is late");
            Assert.That(sequence.Note(0, unchecked(first + 2)), Is.Zero);
            Assert.That(sequence.Note(0, unchecked(first + 6)), Is.Zero);
            Assert.That(sequence.Note(1, 501), Is.Zero);
            Assert.That(sequence.Note(uint.MaxValue, 9), Is.Zero);
            Assert.That((sequence.Lost, sequence.Late), Is.EqualTo((3L, 2L)));
        }
    }

    [Test]
    public void The_captured_stream_has_no_gap()
    {
        var sequence = new ProcSequence();
        foreach (byte[] message in KernelCorpus.Chained(KernelCorpus.Read("proc", "connector.bin")))
        {
            _ = ProcConnectorRecord.TryParse(message, out ProcConnectorRecord record);
            sequence.Note(record);
        }

        Assert.That((sequence.Lost, sequence.Late), Is.EqualTo((0L, 0L)));
    }

    [Test]
    public void The_request_is_the_one_the_kernel_knows()
    {
        byte[] request = new byte[64];

        int length = ProcConnectorRecord.WriteRequest(request, listen: true);

        Assert.That(
            Convert.ToHexString(request, 0, length),
            Is.EqualTo("28000000030000000000000000000000" + "01000000010000000000000000000000" + "04000000" + "01000000"));
    }
}
