using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace ImageSentinel.Tests.Collector;

/// <summary>The collector as a process of its own: the one beside this test, or the one that the environment variable
/// IMAGESENTINEL_COLLECTOR names (a published binary).</summary>
internal sealed class CollectorProgram : IDisposable
{
    private readonly Process _process;
    private readonly Task<string> _errors;

    private CollectorProgram(Process process)
    {
        _process = process;
        _errors = process.StandardError.ReadToEndAsync();
    }

    public Process Process => _process;

    public static CollectorProgram Start(params string[] arguments)
    {
        string? published = Environment.GetEnvironmentVariable("IMAGESENTINEL_COLLECTOR");
        var start = new ProcessStartInfo(published ?? Path.Combine(AppContext.BaseDirectory, "imagesentinel-collector"), arguments)
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        return new CollectorProgram(Process.Start(start)!);
    }

    /// <summary>Runs to its end and answers with the exit code and what it said.</summary>
    public static async Task<(int ExitCode, string Errors)> RunAsync(params string[] arguments)
    {
        using CollectorProgram program = Start(arguments);
        return await program.EndAsync();
    }

    public async Task<(int ExitCode, string Errors)> EndAsync()
    {
        await _process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        return (_process.ExitCode, await _errors);
    }

    /// <summary>Completes when the read API answers.</summary>
    public async Task ReadyAsync(int webPort)
    {
        using var web = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{webPort}") };
        for (DateTime limit = DateTime.UtcNow.AddSeconds(30); DateTime.UtcNow < limit; await Task.Delay(20))
        {
            try
            {
                if ((await web.GetAsync("/readyz")).IsSuccessStatusCode)
                {
                    return;
                }
            }
            catch (HttpRequestException) when (!_process.HasExited)
            {
                // Not listening yet.
            }
        }

        throw new TimeoutException("the collector did not become ready");
    }

    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    /// <summary>Asks for the end as systemd does.</summary>
    public void Terminate()
    {
        using Process kill = Process.Start("kill", ["-TERM", $"{_process.Id}"]);
        kill.WaitForExit();
    }

    /// <summary>A port that nobody had a moment ago.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit();
        }

        _process.Dispose();
    }
}
