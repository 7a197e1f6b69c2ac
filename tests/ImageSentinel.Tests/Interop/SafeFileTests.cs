using System.Diagnostics;
using System.Text;
using ImageSentinel.Interop;
using NUnit.Framework;

namespace ImageSentinel.Tests.Interop;

public sealed class SafeFileTests
{
    private string _root = "";

    [SetUp]
    public void MakeRoot()
    {
        _root = Directory.CreateTempSubdirectory("is-safefile-").FullName;
        Directory.CreateDirectory(Path.Combine(_root, "inside"));
        File.WriteAllText(Path.Combine(_root, "inside", "file"), "0123456789");
        File.WriteAllText(_root + ".secret", "secret");
    }

    [TearDown]
    public void RemoveRoot()
    {
        Directory.Delete(_root, recursive: true);
        File.Delete(_root + ".secret");
    }

    [Test]
    public void Regular_file_below_the_root_is_read_whole()
    {
        SafeReadStatus status = SafeFile.ReadBeneath(_root, "inside/file", 100, out byte[] content);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(status, Is.EqualTo(SafeReadStatus.Done));
            Assert.That(Encoding.ASCII.GetString(content), Is.EqualTo("0123456789"));
        }
    }

    [TestCase(4, SafeReadStatus.Truncated, "0123")]
    [TestCase(10, SafeReadStatus.Done, "0123456789")]
    public void Read_stops_at_the_limit_and_says_so(int limit, SafeReadStatus expected, string text)
    {
        SafeReadStatus status = SafeFile.ReadBeneath(_root, "inside/file", limit, out byte[] content);

        Assert.That((status, Encoding.ASCII.GetString(content)), Is.EqualTo((expected, text)));
    }

    [TestCase("/etc/passwd")]
    [TestCase("../{name}.secret")]
    [TestCase("inside/../../{name}.secret")]
    [TestCase("link-out")]
    [TestCase("link-in")]
    [TestCase("linked-directory/file")]
    [TestCase("magic")]
    [TestCase("pipe")]
    [TestCase("inside")]
    [TestCase("socket")]
    public void Way_out_or_thing_that_is_no_file_is_refused(string relative)
    {
        File.CreateSymbolicLink(Path.Combine(_root, "link-out"), _root + ".secret");
        File.CreateSymbolicLink(Path.Combine(_root, "link-in"), "inside/file");
        File.CreateSymbolicLink(Path.Combine(_root, "linked-directory"), "inside");
        File.CreateSymbolicLink(Path.Combine(_root, "magic"), "/proc/self/root/etc/passwd");
        using (Process mkfifo = Process.Start("mkfifo", [Path.Combine(_root, "pipe")]))
        {
            mkfifo.WaitForExit();
        }

        using var listener = new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Unspecified);
        listener.Bind(new System.Net.Sockets.UnixDomainSocketEndPoint(Path.Combine(_root, "socket")));

        SafeReadStatus status = SafeFile.ReadBeneath(_root, relative.Replace("{name}", Path.GetFileName(_root), StringComparison.Ordinal), 100, out byte[] content);

        Assert.That((status, content.Length), Is.EqualTo((SafeReadStatus.Refused, 0)));
    }

    [TestCase("nothing")]
    [TestCase("inside/file/below")]
    public void Absent_file_is_absent_and_not_an_exception(string relative)
        => Assert.That(SafeFile.ReadBeneath(_root, relative, 100, out _), Is.EqualTo(SafeReadStatus.NotFound));

    [Test]
    public void Identity_is_what_stat_prints()
    {
        string path = Path.Combine(_root, "inside", "file");
        using Process stat = Process.Start(new ProcessStartInfo("stat", ["-c", "%i %Hd %Ld", path]) { RedirectStandardOutput = true })!;
        string expected = stat.StandardOutput.ReadToEnd().Trim();
        stat.WaitForExit();

        FileIdentity? identity = SafeFile.IdentityOf(path);

        Assert.That($"{identity?.Inode} {identity?.DeviceMajor} {identity?.DeviceMinor}", Is.EqualTo(expected));
    }
}
