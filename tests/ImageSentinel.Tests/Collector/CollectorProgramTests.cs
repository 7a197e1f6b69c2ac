using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using ImageSentinel.Agent.Uplink;
using ImageSentinel.Collector.Store;
using ImageSentinel.Tests.Support;
using ImageSentinel.Tests.Uplink;
using ImageSentinel.V1;
using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;

namespace ImageSentinel.Tests.Collector;

[System.Runtime.Versioning.SupportedOSPlatform("linux")]
public sealed class CollectorProgramTests
{
    private string _directory = "";

    private string State => Path.Combine(_directory, "state");

    [SetUp]
    public void MakeDirectory() => _directory = Directory.CreateTempSubdirectory("imagesentinel-program-").FullName;

    [TearDown]
    public void RemoveDirectory() => Directory.Delete(_directory, recursive: true);

    private static IEnumerable<TestCaseData> Refusals()
    {
        yield return Case("unknown option", 64, "Unrecognized", "--nope");
        yield return Case("not a URL", 64, "expected http://", "--listen", "4317");
        yield return Case("a name where an address belongs", 64, "is not an address", "--listen", "http://collector.example:4317");
        yield return Case("no port", 64, "port is missing", "--listen", "http://127.0.0.1");
        yield return Case("not a size", 64, "--max-size", "--max-size", "much");
        yield return Case("open to the network without TLS", 78, "--insecure-listen", "--listen", "http://0.0.0.0:4317");
        yield return Case("page open to the network without TLS", 78, "--web", "--web", "http://[::]:4318");
        yield return Case("certificate without key", 78, "belong together", "--tls-cert", "/x");
        yield return Case("client CA without TLS", 78, "--client-ca needs", "--client-ca", "/x");
        yield return Case("certificate that is not there", 78, "no such file", "--tls-cert", "/nonexistent.pem", "--tls-key", "/nonexistent.key");
        yield return Case("an address of another host", 78, "no such address", "--listen", "http://198.51.100.1:4317", "--insecure-listen", "--web", "none");

        static TestCaseData Case(string name, int code, string says, params string[] arguments)
            => new TestCaseData(code, says, arguments).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Refusals))]
    public async Task What_it_cannot_do_it_says_in_one_line_with_its_exit_code(int code, string says, string[] arguments)
    {
        (int exit, string errors) = await CollectorProgram.RunAsync([.. arguments, "--state", State]);
        Check(exit, errors, code, says);
    }

    [Test]
    public async Task A_certificate_that_is_none_is_named()
    {
        string file = Path.Combine(_directory, "bad.pem");
        await File.WriteAllTextAsync(file, "not a certificate");
        (int exit, string errors) = await CollectorProgram.RunAsync("--state", State, "--tls-cert", file, "--tls-key", file);
        Check(exit, errors, 78, file);
    }

    [Test]
    public async Task A_port_that_is_taken_is_named()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        (int exit, string errors) = await CollectorProgram.RunAsync("--state", State, "--web", "none", "--listen", $"http://{taken.LocalEndpoint}");
        Check(exit, errors, 69, $"{taken.LocalEndpoint}");
    }

    [Test]
    public async Task A_state_directory_that_is_a_file_is_named()
    {
        await File.WriteAllTextAsync(State, "");
        (int exit, string errors) = await CollectorProgram.RunAsync("--state", State, "--web", "none", "--listen", "http://127.0.0.1:0");
        Check(exit, errors, 78, State);
    }

    [Test]
    [RequiresRoot]
    public async Task A_full_state_directory_is_named()
    {
        string mount = Path.Combine(_directory, "full");
        Directory.CreateDirectory(mount);
        Assert.That(await CallAsync("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mount), Is.Zero);
        try
        {
            await File.WriteAllBytesAsync(Path.Combine(mount, "filler"), new byte[60 * 1024]);
            (int exit, string errors) = await CollectorProgram.RunAsync("--state", mount, "--web", "none", "--listen", "http://127.0.0.1:0");
            Check(exit, errors, 1, "no space left on the device");
        }
        finally
        {
            await CallAsync("umount", mount);
        }
    }

    [Test]
    public async Task A_second_collector_on_the_same_state_is_refused_and_the_first_stops_in_peace()
    {
        int web = CollectorProgram.FreePort();
        using CollectorProgram first = CollectorProgram.Start("--state", State, "--listen", "http://127.0.0.1:0", "--web", $"http://127.0.0.1:{web}");
        await first.ReadyAsync(web);
        (int exit, string errors) = await CollectorProgram.RunAsync("--state", State, "--listen", "http://127.0.0.1:0", "--web", "none");
        Check(exit, errors, 69, "in use by another collector");

        first.Terminate();
        var watch = Stopwatch.StartNew();
        (int firstExit, string _) = await first.EndAsync();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(firstExit, Is.Zero);
            Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromSeconds(10)));
            Assert.That(!OperatingSystem.IsWindows() && File.GetUnixFileMode(State) == (UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute));
        }
    }

    [Test]
    public async Task A_socket_that_a_killed_collector_left_behind_is_taken_over()
    {
        string listen = $"unix:{Path.Combine(_directory, "collector.sock")}";
        int web = CollectorProgram.FreePort();
        string[] arguments = ["--state", State, "--listen", listen, "--web", $"http://127.0.0.1:{web}"];
        using (CollectorProgram killed = CollectorProgram.Start(arguments))
        {
            await killed.ReadyAsync(web);
            await killed.KillAsync();
        }

        using CollectorProgram next = CollectorProgram.Start(arguments);
        await next.ReadyAsync(web);
        next.Terminate();
        Assert.That((await next.EndAsync()).ExitCode, Is.Zero);
    }

    [Test]
    public async Task A_state_directory_that_others_could_read_is_closed()
    {
        Directory.CreateDirectory(State);
        File.SetUnixFileMode(State, (UnixFileMode)0x1ED); // 0755
        int web = CollectorProgram.FreePort();
        using CollectorProgram program = CollectorProgram.Start("--state", State, "--listen", "http://127.0.0.1:0", "--web", $"http://127.0.0.1:{web}");
        await program.ReadyAsync(web);
        UnixFileMode[] modes = [File.GetUnixFileMode(State), .. Directory.EnumerateFiles(State).Select(File.GetUnixFileMode)];
        program.Terminate();
        (int exit, string errors) = await program.EndAsync();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.Zero);
            Assert.That(errors, Does.Contain("0700"));
            Assert.That(modes.Select(static mode => (int)mode & 0x3F), Is.All.Zero);
        }
    }

    [Test]
    public async Task Garbage_is_told_in_one_line_and_not_without_end()
    {
        int web = CollectorProgram.FreePort();
        int agents = CollectorProgram.FreePort();
        using CollectorProgram program = CollectorProgram.Start("--state", State, "--listen", $"http://127.0.0.1:{agents}", "--web", $"http://127.0.0.1:{web}");
        await program.ReadyAsync(web);
        using var client = new HttpClient();
        byte[][] garbage = [[0, 0, 0, 0, 3, 0xff, 0xff, 0xff], [9, 9, 9], [0, 0, 0, 0, 9, 1], [0, 0xff, 0xff, 0xff, 0xff]];
        for (int i = 0; i < 20; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, $"http://127.0.0.1:{agents}/imagesentinel.v1.FindingService/PublishFindings")
            {
                Version = new Version(2, 0),
                VersionPolicy = HttpVersionPolicy.RequestVersionExact,
                Content = new ByteArrayContent(garbage[i % garbage.Length]),
            };
            request.Content.Headers.ContentType = new("application/grpc");
            using HttpResponseMessage answer = await client.SendAsync(request);
        }

        program.Terminate();
        (int exit, string errors) = await program.EndAsync();
        string[] lines = errors.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.Zero);
            Assert.That(lines.Count(static line => line.Contains("refused", StringComparison.Ordinal)), Is.InRange(1, 5), errors);
            Assert.That(errors, Does.Not.Contain("   at "));
        }
    }

    [Test]
    public async Task A_damaged_database_is_moved_aside_and_said()
    {
        Directory.CreateDirectory(State);
        await File.WriteAllBytesAsync(Path.Combine(State, "collector.db"), [.. Enumerable.Repeat((byte)0x5a, 40_000)]);
        int web = CollectorProgram.FreePort();
        using CollectorProgram program = CollectorProgram.Start("--state", State, "--listen", "http://127.0.0.1:0", "--web", $"http://127.0.0.1:{web}");
        await program.ReadyAsync(web);
        program.Terminate();
        (int exit, string errors) = await program.EndAsync();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.Zero);
            Assert.That(errors, Does.Contain("is damaged and was moved to"));
            Assert.That(new FileInfo(Directory.EnumerateFiles(State, "collector.db.damaged-*").Single()).Length, Is.EqualTo(40_000));
        }
    }

    [Test]
    public async Task Killed_again_and_again_under_load_it_ends_up_with_every_record_once()
    {
        const int Kills = 8;
        int listen = CollectorProgram.FreePort();
        int web = CollectorProgram.FreePort();
        string[] arguments = ["--state", State, "--listen", $"http://127.0.0.1:{listen}", "--web", $"http://127.0.0.1:{web}"];
        using FindingSpool spool = SpoolHarness.Open(Directory.CreateDirectory(Path.Combine(_directory, "agent")).FullName);
        using var uplink = new CollectorUplink(
            new UplinkOptions { Url = new Uri($"http://127.0.0.1:{listen}"), MaximumPause = TimeSpan.FromMilliseconds(50) },
            spool, CollectorUplinkTests.Host, () => null, NullLogger<CollectorUplink>.Instance, TimeProvider.System);
        await uplink.StartAsync(CancellationToken.None);
        int made = 0;
        CollectorProgram collector = CollectorProgram.Start(arguments);
        for (int kill = 0; kill < Kills; kill++)
        {
            await collector.ReadyAsync(web);
            for (int i = 0; i < 20 + (kill * 7); i++)
            {
                spool.Append([.. Enumerable.Range(made, 25).Select(n => SpoolHarness.Finding($"f{n}"))]);
                made += 25;
            }

            await collector.KillAsync();
            collector.Dispose();
            collector = CollectorProgram.Start(arguments);
        }

        await collector.ReadyAsync(web);
        await CollectorUplinkTests.Eventually(() => spool.Status.Depth == 0);
        await uplink.StopAsync(CancellationToken.None);
        collector.Terminate();
        await collector.EndAsync();
        collector.Dispose();

        using StoreDatabase database = StoreDatabase.Open(State, NullLogger.Instance, TimeProvider.System);
        var reader = new RecordReader(database);
        List<Finding> findings = reader.Findings(100_000);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(findings.Select(finding => finding.Uid), Is.EquivalentTo(Enumerable.Range(0, made).Select(i => string.Create(CultureInfo.InvariantCulture, $"f{i}"))));
            Assert.That(findings.Sum(finding => reader.Activities(finding.Uid).Count), Is.EqualTo(made));
        }
    }

    private static void Check(int exit, string errors, int code, string says)
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(code), errors);
            Assert.That(errors, Does.Contain(says));
            Assert.That(errors.TrimEnd().Split('\n'), Has.Length.EqualTo(1), errors);
        }
    }

    private static async Task<int> CallAsync(string program, params string[] arguments)
    {
        using Process process = Process.Start(program, arguments);
        await process.WaitForExitAsync();
        return process.ExitCode;
    }
}
