using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using ImageSentinel.Agent.Lifetime;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.V1;
using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;

namespace ImageSentinel.Tests.Agent;

/// <summary>The agent as systemd and an operator's signals see it.</summary>
[NonParallelizable]
public sealed class ServiceTests
{
    [Test]
    public void Systemd_is_told_when_ready_reloading_and_stopping()
    {
        using var systemd = new NotifySocket();
        using (var manager = new ServiceManager(NullLogger<ServiceManager>.Instance))
        {
            manager.Ready("watching /run/docker.sock", () => 0);
            manager.Reloading();
            manager.Reloaded();
            manager.Stopping();
        }

        string[] told = [systemd.Next(), systemd.Next(), systemd.Next(), systemd.Next()];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(told[0], Is.EqualTo("READY=1\nSTATUS=watching /run/docker.sock"));
            Assert.That(told[1], Does.Match("^RELOADING=1\nMONOTONIC_USEC=[0-9]+$"));
            Assert.That(told[2], Is.EqualTo("READY=1"));
            Assert.That(told[3], Is.EqualTo("STOPPING=1"));
        }
    }

    [Test]
    public void The_watchdog_is_fed_only_while_the_pipeline_moves()
    {
        using var systemd = new NotifySocket(watchdogMicroseconds: 20_000);
        long progress = 0;
        long looks = 0;
        using var manager = new ServiceManager(NullLogger<ServiceManager>.Instance);
        using var enough = new ManualResetEventSlim();

        // Moves for the first three looks and stands still from then on; the tenth look ends the test.
        manager.Ready("", () =>
        {
            long look = Interlocked.Increment(ref looks);
            if (look == 10)
            {
                enough.Set();
            }

            return look <= 3 ? Interlocked.Increment(ref progress) : Interlocked.Read(ref progress);
        });
        enough.Wait();
        manager.Stopping();

        var told = new List<string>();
        do
        {
            told.Add(systemd.Next());
        }
        while (told[^1] != "STOPPING=1");

        Assert.That(told.Count(message => message == "WATCHDOG=1"), Is.EqualTo(3));
    }

    [Test]
    public void Without_a_service_manager_nothing_is_told_and_nothing_breaks()
    {
        using var manager = new ServiceManager(NullLogger<ServiceManager>.Instance);

        Assert.That(
            () =>
            {
                manager.Ready("", () => 0);
                manager.Stopping();
            },
            Throws.Nothing);
    }

    [Test]
    public async Task A_hang_up_with_a_good_configuration_changes_it()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        FakePipeline pipeline = await agent.Pipeline();
        agent.NextConfiguration = $"policy: {{time_window: 9m}}\noutputs: {{json_lines: {agent.Folder}/second.json, journald: false}}\n";

        HangUp();
        await Until(() => pipeline.Reloads.Count == 1);
        await agent.Say("attack.jsonl");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(pipeline.Reloads[0].Policy.TimeWindow, Is.EqualTo(TimeSpan.FromMinutes(9)));
            await Until(() => File.Exists(Path.Combine(agent.Folder, "second.json")));
        }
    }

    [Test]
    public async Task A_hang_up_with_a_bad_configuration_keeps_the_old_one_and_says_so()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        FakePipeline pipeline = await agent.Pipeline();
        agent.NextConfiguration = "state_dirr: /x\n";
        var heard = new List<Notice>();
        pipeline.Writer.Replace([new Listener(heard)]);
        await pipeline.Writer.FlushAsync();

        HangUp();
        await Until(() =>
        {
            lock (heard)
            {
                return heard.Any(notice => notice.Kind == NoticeKind.ConfigurationRefused);
            }
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(pipeline.Reloads, Is.Empty);
            Assert.That(heard.Single(notice => notice.Kind == NoticeKind.ConfigurationRefused).Message, Does.Contain("t.yaml:1").And.Contain("the old one stays"));
        }
    }

    [Test]
    public void A_lost_collector_is_told_once_and_its_return_once()
    {
        var told = new List<NoticeKind>();
        using var writer = new StringWriter();
        var records = new OutputWriter([], NullLogger<OutputWriter>.Instance);
        using var watch = new CollectorWatch(new FakePipeline(records), records);

        foreach (string word in new[] { "none", "connecting", "refused: x", "refused: y", "connecting", "connected", "connected", "no certificate" })
        {
            watch.Look(word, notice => told.Add(notice.Kind));
        }

        Assert.That(told, Is.EqualTo(new[] { NoticeKind.CollectorLost, NoticeKind.CollectorRegained, NoticeKind.CollectorLost }));
    }

    private static void HangUp()
    {
        using Process kill = Process.Start("kill", ["-HUP", Environment.ProcessId.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    // Waits for what must come; only a test that fails ever reaches the limit.
    private static async Task Until(Func<bool> condition)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.That(clock.Elapsed, Is.LessThan(TimeSpan.FromSeconds(60)), "what must come did not come");
            await Task.Delay(5);
        }
    }

    private sealed class Listener(List<Notice> heard) : IRecordOutput
    {
        public string Name => "listener";

        public void Write(IReadOnlyList<OutputRecord> batch)
        {
        }

        public void Tell(Notice notice)
        {
            lock (heard)
            {
                heard.Add(notice);
            }
        }

        public void Dispose()
        {
        }
    }

    /// <summary>systemd's end of sd_notify(3).</summary>
    private sealed class NotifySocket : IDisposable
    {
        private readonly string _path = Path.Combine(Path.GetTempPath(), $"imagesentinel-notify-{Guid.NewGuid():N}");
        private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);

        public NotifySocket(long watchdogMicroseconds = 0)
        {
            _socket.Bind(new UnixDomainSocketEndPoint(_path));
            _socket.ReceiveTimeout = 60_000;
            Environment.SetEnvironmentVariable("NOTIFY_SOCKET", _path);
            Environment.SetEnvironmentVariable("WATCHDOG_USEC", watchdogMicroseconds > 0 ? watchdogMicroseconds.ToString(CultureInfo.InvariantCulture) : null);
        }

        public string Next()
        {
            var buffer = new byte[4096];
            return Encoding.UTF8.GetString(buffer, 0, _socket.Receive(buffer));
        }

        public void Dispose()
        {
            Environment.SetEnvironmentVariable("NOTIFY_SOCKET", null);
            Environment.SetEnvironmentVariable("WATCHDOG_USEC", null);
            _socket.Dispose();
            File.Delete(_path);
        }
    }
}
