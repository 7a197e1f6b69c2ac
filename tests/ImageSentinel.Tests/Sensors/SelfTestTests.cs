using ImageSentinel.Sensors.Audit;
using ImageSentinel.Sensors.Fanotify;
using ImageSentinel.Sensors.Processes;
using ImageSentinel.Sensors.SelfTesting;
using ImageSentinel.Tests.Support;
using NUnit.Framework;

namespace ImageSentinel.Tests.Sensors;

/// <summary>The self-test against the real kernel, with a shell in the place of the agent's binary.</summary>
[RequiresAudit]
[NonParallelizable]
public sealed class SelfTestTests
{
    // $0 is the nonce, the places follow.
    private const string Script = """
        exec 3<>/dev/udp/127.0.0.1/9
        for place in "$@"; do case $place in root:*) f=${place#root:}/tmp/imagesentinel-$0; : > $f; rm $f;; esac; done
        """;

    private string _root = "";

    [SetUp]
    public void MakeDataRoot() => Directory.CreateDirectory(Path.Combine(_root = Directory.CreateTempSubdirectory("is-selftest-").FullName, "tmp"));

    [TearDown]
    public void RemoveDataRoot() => Directory.Delete(_root, recursive: true);

    [Test]
    public async Task Every_sensor_that_reads_delivers_what_a_child_did()
    {
        var tap = new SelfTestTap(new CollectingQueue());
        await using var audit = new AuditSensor(new AuditSensorOptions());
        await using var processes = new ProcessConnectorSensor();
        await using var files = new LayerSensor(new LayerSensorOptions());
        audit.Start(tap);
        processes.Start(tap);
        files.Start(tap);
        Assert.That(files.WatchDataRoot(3, _root, out string reason), Is.True, reason);

        IReadOnlyList<SensorProof> proofs = await SelfTest.RunAsync(tap, Plan(TimeSpan.FromSeconds(15)));

        Assert.That(proofs, Is.EqualTo(new[]
        {
            new SensorProof("audit", true, ""),
            new SensorProof("processes", true, ""),
            new SensorProof("fanotify", true, ""),
        }));
    }

    [Test]
    public async Task Sensor_that_does_not_deliver_is_named_with_a_reason()
    {
        var tap = new SelfTestTap(new CollectingQueue());
        await using var processes = new ProcessConnectorSensor();
        processes.Start(tap);

        IReadOnlyList<SensorProof> proofs = await SelfTest.RunAsync(tap, Plan(TimeSpan.FromMilliseconds(500)));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(proofs.Where(p => !p.Delivers).Select(p => p.Sensor), Is.EqualTo(new[] { "audit", "fanotify" }));
            Assert.That(proofs.Single(p => p.Sensor == "fanotify").Reason, Does.Contain(_root));
        }
    }

    [Test]
    public async Task Child_that_cannot_start_is_a_reason_and_not_an_exception()
    {
        var tap = new SelfTestTap(new CollectingQueue());

        IReadOnlyList<SensorProof> proofs = await SelfTest.RunAsync(tap, new SelfTestPlan { Program = "/nowhere/imagesentinel", Audit = true });

        Assert.That(proofs.Single().Reason, Does.Contain("/nowhere/imagesentinel"));
    }

    [Test]
    public void Child_touches_and_removes_one_file_below_each_root()
    {
        int code = SelfTestChild.Run(["nonce", "root:" + _root]);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.Zero);
            Assert.That(Directory.EnumerateFileSystemEntries(Path.Combine(_root, "tmp")), Is.Empty);
            Assert.That(SelfTestChild.Run(["nonce", "root:/nowhere"]), Is.EqualTo(1));
        }
    }

    private SelfTestPlan Plan(TimeSpan patience) => new()
    {
        Program = "/bin/bash",
        Arguments = ["-c", Script],
        Audit = true,
        Processes = true,
        DataRoots = new Dictionary<byte, string> { [3] = _root },
        Patience = patience,
    };
}
