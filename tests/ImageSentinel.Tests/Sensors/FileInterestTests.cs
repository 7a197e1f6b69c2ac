using System.Text;
using ImageSentinel.Sensors.Fanotify;
using NUnit.Framework;

namespace ImageSentinel.Tests.Sensors;

public sealed class FileInterestTests
{
    private const string BuildKitId = "abcdefghijklmnopqrstuvwxy";
    private const string ContainerId = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    // What docker 20.10 and 26.1 write during builds, by what the trackers need of it.
    [TestCase("tmp", "docker-builder123", true, true)]
    [TestCase("tmp/docker-builder123", "Dockerfile", false, true)]
    [TestCase("tmp/docker-builder123/src", "main.c", false, false)]
    [TestCase("tmp", "docker-import-9", true, true)]
    [TestCase("tmp", "buildkit-mount12", true, true)]
    [TestCase("tmp", "qemu-check77", true, false)]
    [TestCase("tmp/qemu-check77", "check", false, false)]
    [TestCase("buildkit/executor", "s1", true, true)]
    [TestCase("buildkit/executor/s1", "config.json", false, true)]
    [TestCase("buildkit/executor/s1/rootfs", "x", false, false)]
    [TestCase("buildkit/net", "e1", true, true)]
    [TestCase("buildkit", "cache.db", false, false)]
    [TestCase("buildkit/content/blobs/sha256", "d1", false, true)]
    [TestCase("buildkit/content/ingest/x", "data", false, false)]
    [TestCase("containers/" + ContainerId, "config.v2.json", false, true)]
    [TestCase("containers/" + ContainerId, ".tmp-config.v2.json1", false, false)]
    [TestCase("containers/" + ContainerId + "/mounts/shm", "x", false, false)]
    [TestCase("image/overlay2", "repositories.json", false, true)]
    [TestCase("image/overlay2", ".tmp-repositories.json5", false, false)]
    [TestCase("image/overlay2/imagedb/content/sha256", "aa", false, true)]
    [TestCase("image/overlay2/imagedb/metadata/sha256/aa", "parent", false, true)]
    [TestCase("image/overlay2/layerdb/sha256/cc", "cache-id", false, true)]
    [TestCase("image/overlay2/layerdb/mounts/" + ContainerId, "mount-id", false, true)]
    [TestCase("image/overlay2/layerdb/tmp/write-set-1", "size", false, false)]
    [TestCase("overlay2", BuildKitId, true, true)]
    [TestCase("overlay2/" + BuildKitId, "diff", true, true)]
    [TestCase("overlay2/" + BuildKitId + "/diff", "Dockerfile", false, true)]
    [TestCase("overlay2/" + BuildKitId + "/diff", "usr", true, false)]
    [TestCase("overlay2/" + BuildKitId + "/diff/usr/bin", "curl", false, false)]
    [TestCase("overlay2/" + BuildKitId + "/work/work", "#12", false, false)]
    [TestCase("overlay2/" + ContainerId + "/diff", "payload", false, false)]
    [TestCase("overlay2/l", "LINKNAME", false, false)]
    [TestCase("volumes/v1/_data", "x", false, false)]
    [TestCase("network/files", "local-kv.db", false, false)]
    public void Path_is_forwarded_when_a_tracker_needs_it(string directory, string name, bool isDirectory, bool wanted)
        => Assert.That(Wants(directory, name, isDirectory, layerFiles: false), Is.EqualTo(wanted));

    [TestCase("overlay2/" + BuildKitId + "/diff/usr/bin", "curl", false, true)]
    [TestCase("overlay2/" + ContainerId + "/diff", "payload", false, true)]
    [TestCase("overlay2/" + BuildKitId + "/work/work", "#12", false, false)]
    [TestCase("tmp/qemu-check77", "check", false, false)]
    public void Layer_files_are_forwarded_when_asked_for(string directory, string name, bool isDirectory, bool wanted)
        => Assert.That(Wants(directory, name, isDirectory, layerFiles: true), Is.EqualTo(wanted));

    private static bool Wants(string directory, string name, bool isDirectory, bool layerFiles)
        => new FileInterest(layerFiles).Wants(
            FileInterest.Judge(Encoding.UTF8.GetBytes(directory)),
            Encoding.UTF8.GetBytes(name),
            FileEventMask.Create | (isDirectory ? FileEventMask.OnDirectory : 0));
}
