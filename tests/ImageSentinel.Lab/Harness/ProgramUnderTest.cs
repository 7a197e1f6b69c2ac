using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace ImageSentinel.Lab.Harness;

/// <summary>One of our published programs, started as an operator would start it.</summary>
/// <remarks>Owns the process: what a test does not stop is killed on disposal, so that a failed test leaves nothing.</remarks>
internal sealed class ProgramUnderTest : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _printed = new();

    public ProgramUnderTest(string program, params string[] arguments)
    {
        string path = Path.Combine(Repository.Programs, program);
        if (!File.Exists(path))
        {
            throw new InvalidOperationException($"{path} is missing; ./build.sh build makes it");
        }

        var start = new ProcessStartInfo(path, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        _process = Process.Start(start)!;
        _process.OutputDataReceived += Keep;
        _process.ErrorDataReceived += Keep;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    public string Printed
    {
        get
        {
            lock (_printed)
            {
                return _printed.ToString();
            }
        }
    }

    /// <summary>SIGTERM, then the exit code. The contract gives a program ten seconds to drain; a test gives it thirty.</summary>
    public int Stop()
    {
        if (!_process.HasExited)
        {
            Tool.Run("/bin/kill", "-TERM", Id.ToString(CultureInfo.InvariantCulture));
        }

        return WaitForExit();
    }

    public int WaitForExit()
    {
        Assert.That(_process.WaitForExit(TimeSpan.FromSeconds(30)), Is.True, $"does not end:\n{Printed}");
        // The second wait is for the last lines of output.
        _process.WaitForExit();
        return _process.ExitCode;
    }

    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            Kill();
        }

        _process.Dispose();
    }

    private void Keep(object sender, DataReceivedEventArgs line)
    {
        lock (_printed)
        {
            _printed.AppendLine(line.Data);
        }
    }
}
