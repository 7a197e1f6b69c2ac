using System.Globalization;
using ImageSentinel.Interop;
using Microsoft.Extensions.Hosting.Systemd;
using Microsoft.Extensions.Logging;

namespace ImageSentinel.Agent.Lifetime;

/// <summary>Tells systemd how the agent is (sd_notify(3)): ready, reloading, stopping, and alive while the pipeline moves.</summary>
/// <remarks>Does nothing where no service manager asked to be told. Owns the watchdog's timer.</remarks>
internal sealed partial class ServiceManager : IDisposable
{
    private readonly SystemdNotifier? _notifier;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private Timer? _watchdog;
    private long _lastProgress = long.MinValue;
    private bool _stalled;

    public ServiceManager(ILogger<ServiceManager> logger)
    {
        _logger = logger;
        // Registered by hand and never required: the package's own registration looks at the parent process instead.
        if (!string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NOTIFY_SOCKET")))
        {
            _notifier = new SystemdNotifier();
        }
    }

    /// <summary>True under systemd, where standard output goes to the journal, which has the findings already.</summary>
    public static bool IsService
        => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable("INVOCATION_ID"))
            && !string.IsNullOrEmpty(Environment.GetEnvironmentVariable("JOURNAL_STREAM"));

    /// <param name="status">One line for <c>systemctl status</c>.</param>
    /// <param name="progress">Must have grown between two looks, or the watchdog is left to bite.</param>
    public void Ready(string status, Func<long> progress)
    {
        Send($"READY=1\nSTATUS={status}");
        if (_notifier is not null && WatchdogInterval() is { } interval)
        {
            _watchdog = new Timer(_ => Feed(progress), null, interval, interval);
        }
    }

    public void Reloading()
        => Send(string.Create(CultureInfo.InvariantCulture, $"RELOADING=1\nMONOTONIC_USEC={Clocks.MonotonicNanoseconds / 1000}"));

    public void Reloaded() => Send("READY=1");

    public void Stopping()
    {
        _watchdog?.Dispose();
        Send("STOPPING=1");
    }

    public void Dispose() => _watchdog?.Dispose();

    // A timer does not wait for its last call to return; two looks at once would see the same progress.
    private void Feed(Func<long> look)
    {
        lock (_gate)
        {
            long progress = look();
            if (progress != _lastProgress)
            {
                _lastProgress = progress;
                _stalled = false;
                Send("WATCHDOG=1");
            }
            else if (!_stalled)
            {
                _stalled = true;
                Stalled(progress);
            }
        }
    }

    // Half of what systemd allows, as sd_watchdog_enabled(3) advises.
    private static TimeSpan? WatchdogInterval()
    {
        string? pid = Environment.GetEnvironmentVariable("WATCHDOG_PID");
        return long.TryParse(Environment.GetEnvironmentVariable("WATCHDOG_USEC"), NumberStyles.None, CultureInfo.InvariantCulture, out long microseconds)
            && microseconds > 0
            && (string.IsNullOrEmpty(pid) || pid == Environment.ProcessId.ToString(CultureInfo.InvariantCulture))
            ? TimeSpan.FromMicroseconds(microseconds / 2)
            : null;
    }

    private void Send(string state)
    {
        try
        {
            _notifier?.Notify(new ServiceState(state));
        }
        catch (System.Net.Sockets.SocketException e)
        {
            NotTold(e.Message);
        }
    }

    [LoggerMessage(20, LogLevel.Critical, "the pipeline has not moved since {Progress}; the watchdog is not fed")]
    private partial void Stalled(long progress);

    [LoggerMessage(21, LogLevel.Warning, "systemd could not be told: {Reason}")]
    private partial void NotTold(string reason);
}
