using System.Diagnostics;
using System.Text;
using ImageSentinel.Sensors.Fanotify;
using ImageSentinel.Sensors.Stream;
using ImageSentinel.Tests.Support;
using NUnit.Framework;

namespace ImageSentinel.Tests.Sensors;

/// <summary>A directory that looks like a data root, on the machine's own file system. Files are made by a child: the
/// sensor's own process is of no interest to it.</summary>
[RequiresRoot]
public sealed class LayerSensorTests
{
    private string _root = "";

    [SetUp]
    public void MakeDataRoot()
    {
        // Not below /tmp: that is often a tmpfs, and a data root is not.
        _root = Directory.CreateTempSubdirectory("is-dataroot-").FullName;
        foreach (string directory in (string[])["tmp", "overlay2", "containers/c1", "buildkit/executor", "image/overlay2/imagedb/content/sha256"])
        {
            Directory.CreateDirectory(Path.Combine(_root, directory));
        }
    }

    [TearDown]
    public void RemoveDataRoot() => Directory.Delete(_root, recursive: true);

    [Test]
    public async Task Bookkeeping_of_a_build_is_forwarded_with_path_and_process()
    {
        (CollectingQueue queue, LayerSensor sensor) = Start();
        await using LayerSensor _ = sensor;

        int pid = Shell("""
            mkdir tmp/docker-builder123 && echo FROM x > tmp/docker-builder123/Dockerfile
            echo '{}' > containers/c1/.tmp-config.v2.json1 && mv containers/c1/.tmp-config.v2.json1 containers/c1/config.v2.json
            mkdir -p overlay2/abcdefghijklmnopqrstuvwxy/diff && echo FROM y > overlay2/abcdefghijklmnopqrstuvwxy/diff/Dockerfile
            rm -r tmp/docker-builder123
            """);

        bool end = queue.WaitFor(items => Events(items).Any(e => e.Path == "tmp/docker-builder123" && (e.Mask & FileEventMask.Delete) != 0));
        (ulong Mask, string Path, int Pid, long Start)[] events = [.. Events(queue.Items)];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(end, Is.True);
            Assert.That(events.Any(e => e.Path == "tmp/docker-builder123" && (e.Mask & FileEventMask.Create) != 0), Is.True);
            Assert.That(events.Any(e => e.Path == "tmp/docker-builder123/Dockerfile" && (e.Mask & FileEventMask.CloseWrite) != 0), Is.True);
            Assert.That(events.Any(e => e.Path == "containers/c1/config.v2.json" && (e.Mask & FileEventMask.MovedTo) != 0), Is.True);
            Assert.That(events.Any(e => e.Path == "overlay2/abcdefghijklmnopqrstuvwxy/diff/Dockerfile" && (e.Mask & FileEventMask.CloseWrite) != 0), Is.True);
            Assert.That(events.Single(e => e.Path == "tmp/docker-builder123/Dockerfile" && (e.Mask & FileEventMask.CloseWrite) != 0).Pid, Is.EqualTo(pid));
            Assert.That(events.Any(e => e.Path.Contains(".tmp-", StringComparison.Ordinal)), Is.False);
        }
    }

    [Test]
    public async Task Step_config_is_told_when_written_though_it_stays_open()
    {
        (CollectingQueue queue, LayerSensor sensor) = Start();
        await using LayerSensor _ = sensor;

        // As BuildKit does it: created, later written, closed only when the step ends.
        using Process step = Process.Start(new ProcessStartInfo("/bin/sh")
        {
            ArgumentList = { "-c", "mkdir buildkit/executor/s1 && exec 3>buildkit/executor/s1/config.json && echo '{}' >&3 && read x" },
            WorkingDirectory = _root,
            RedirectStandardInput = true,
        })!;

        bool told = queue.WaitFor(items => Events(items).Any(e => e.Path == "buildkit/executor/s1/config.json"
            && (e.Mask & (FileEventMask.Modify | FileEventMask.Found)) != 0));
        step.StandardInput.Close();
        await step.WaitForExitAsync();

        Assert.That(told, Is.True);
    }

    [Test]
    public async Task Step_that_ran_before_the_agent_is_found()
    {
        Directory.CreateDirectory(Path.Combine(_root, "buildkit/executor/old"));
        await File.WriteAllTextAsync(Path.Combine(_root, "buildkit/executor/old/config.json"), "{}");

        (CollectingQueue queue, LayerSensor sensor) = Start();
        await using LayerSensor _ = sensor;

        Assert.That(queue.WaitFor(items => Events(items).Any(e => e.Path == "buildkit/executor/old/config.json"
            && e.Mask == FileEventMask.Found)), Is.True);
    }

    [Test]
    public async Task Package_installation_in_a_layer_is_forwarded_without_its_directories()
    {
        (CollectingQueue queue, LayerSensor sensor) = Start();
        await using LayerSensor _ = sensor;

        Shell("mkdir -p overlay2/abcdefghijklmnopqrstuvwxy/diff/usr/bin && for i in $(seq 1000); do echo x > overlay2/abcdefghijklmnopqrstuvwxy/diff/usr/bin/f$i; done; mkdir tmp/docker-builderend");

        bool end = queue.WaitFor(items => Events(items).Any(e => e.Path == "tmp/docker-builderend"));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(end, Is.True);
            Assert.That(
                Events(queue.Items).Where(e => (e.Mask & FileEventMask.CloseWrite) != 0).Select(e => Path.GetFileName(e.Path)).Where(n => n.StartsWith('f')).Distinct().Count(),
                Is.EqualTo(1000));
            Assert.That(Events(queue.Items).Where(e => e.Path.EndsWith("/usr/bin", StringComparison.Ordinal)), Is.Empty);
        }
    }

    [Test]
    public async Task Descriptors_that_come_with_events_are_closed()
    {
        (CollectingQueue queue, LayerSensor sensor) = Start();
        await using LayerSensor _ = sensor;
        Shell("touch tmp/docker-builderwarm");
        queue.WaitFor(items => Events(items).Any(e => e.Path == "tmp/docker-builderwarm"));
        int before = PidDescriptors();

        // The shell lives until its input closes, so every event of its own carries a descriptor of a living process.
        using Process shell = Process.Start(new ProcessStartInfo("/bin/sh")
        {
            ArgumentList = { "-c", "for i in $(seq 500); do : > overlay2/f$i; : > tmp/docker-builder$i; done; : > tmp/docker-builderend; read x" },
            WorkingDirectory = _root,
            RedirectStandardInput = true,
        })!;
        bool end = queue.WaitFor(items => Events(items).Any(e => e.Path == "tmp/docker-builderend" && (e.Mask & FileEventMask.CloseWrite) != 0));
        shell.StandardInput.Close();
        await shell.WaitForExitAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(end, Is.True);
            Assert.That(Events(queue.Items).Count(e => e.Start > 0), Is.GreaterThan(400), "events with a verified start time");
            Assert.That(PidDescriptors(), Is.LessThanOrEqualTo(before + 2));
        }
    }

    private static int PidDescriptors()
        => Directory.EnumerateFileSystemEntries("/proc/self/fd").Count(fd => (new FileInfo(fd).LinkTarget ?? "").Contains("pidfd", StringComparison.Ordinal));

    [Test]
    public async Task Directory_that_moved_is_told_under_its_new_name()
    {
        (CollectingQueue queue, LayerSensor sensor) = Start();
        await using LayerSensor _ = sensor;

        Shell("mkdir -p image/overlay2/layerdb/tmp/w1 && echo 1 > image/overlay2/layerdb/tmp/w1/size && mkdir -p image/overlay2/layerdb/sha256 && mv image/overlay2/layerdb/tmp/w1 image/overlay2/layerdb/sha256/chain1 && echo 2 > image/overlay2/layerdb/sha256/chain1/diff");

        Assert.That(queue.WaitFor(items => Events(items).Any(e => e.Path == "image/overlay2/layerdb/sha256/chain1/diff")), Is.True);
    }

    [Test]
    public async Task Missing_data_root_is_a_reason_and_not_an_exception()
    {
        await using var sensor = new LayerSensor(new LayerSensorOptions());
        sensor.Start(new CollectingQueue());

        bool watched = sensor.WatchDataRoot(0, "/nowhere/at/all", out string reason);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(watched, Is.False);
            Assert.That(reason, Does.Contain("/nowhere/at/all"));
            Assert.That(sensor.Status.Health, Is.EqualTo(SensorHealth.Degraded));
        }
    }

    private (CollectingQueue Queue, LayerSensor Sensor) Start()
    {
        var queue = new CollectingQueue();
        var sensor = new LayerSensor(new LayerSensorOptions());
        sensor.Start(queue);
        Assert.That(sensor.WatchDataRoot(0, _root, out string reason), Is.True, reason);
        Assert.That(sensor.Status.Health, Is.EqualTo(SensorHealth.Active), sensor.Status.Reason);
        return (queue, sensor);
    }

    private int Shell(string script)
    {
        using Process shell = Process.Start(new ProcessStartInfo("/bin/sh") { ArgumentList = { "-c", script }, WorkingDirectory = _root })!;
        shell.WaitForExit();
        Assert.That(shell.ExitCode, Is.Zero);
        return shell.Id;
    }

    private static List<(ulong Mask, string Path, int Pid, long Start)> Events(IEnumerable<SensorItem> items)
    {
        var events = new List<(ulong, string, int, long)>();
        foreach (SensorItem item in items.Where(i => i.Kind == SensorKind.Files))
        {
            var reader = new FileEventReader(item.Span);
            while (reader.TryRead(out FileEvent fileEvent))
            {
                events.Add((fileEvent.Mask, Encoding.UTF8.GetString(fileEvent.Path), fileEvent.Pid, fileEvent.StartNanoseconds));
            }
        }

        return events;
    }
}
