using System.Runtime.InteropServices;
using System.Text;
using static ImageSentinel.Interop.NativeConstants;

namespace ImageSentinel.Interop;

/// <summary>One child process, started and reaped without SIGCHLD and without a shell.</summary>
/// <remarks>
/// posix_spawn and waitpid of this one pid: the runtime's Process class would install a signal handler and its own
/// reaping for a child that lives ten milliseconds. Owns the duty to reap; <see cref="Dispose"/> kills what still runs.
/// </remarks>
public sealed unsafe class ChildProcess : IDisposable
{
    private bool _reaped;

    private ChildProcess(int pid) => Pid = pid;

    public int Pid { get; }

    /// <summary>The child's exit code; 128 + signal when a signal ended it. Meaningful once <see cref="TryWait"/> said true.</summary>
    public int ExitCode { get; private set; }

    /// <param name="path">The program, absolute.</param>
    /// <param name="arguments">Without the program's own name.</param>
    /// <exception cref="LinuxException">posix_spawn's answer: ENOENT, EACCES, EAGAIN.</exception>
    public static ChildProcess Start(string path, params ReadOnlySpan<string> arguments)
    {
        string[] words = [path, .. arguments];
        byte** argv = stackalloc byte*[words.Length + 1];
        byte** environment = stackalloc byte*[1];
        environment[0] = null;
        try
        {
            for (int i = 0; i < words.Length; i++)
            {
                argv[i] = (byte*)Marshal.StringToCoTaskMemUTF8(words[i]);
            }

            argv[words.Length] = null;
            int pid;
            int errno = NativeMethods.PosixSpawn(&pid, argv[0], null, null, argv, environment);
            return errno == 0 ? new ChildProcess(pid) : throw new LinuxException($"posix_spawn({path})", errno);
        }
        finally
        {
            for (int i = 0; i < words.Length; i++)
            {
                Marshal.FreeCoTaskMem((nint)argv[i]);
            }
        }
    }

    /// <summary>Reaps the child if it ends within <paramref name="timeout"/>.</summary>
    public bool TryWait(TimeSpan timeout)
    {
        long end = Clocks.MonotonicNanoseconds + (timeout.Ticks * 100);
        while (!_reaped)
        {
            int status;
            int result = NativeMethods.WaitPid(Pid, &status, WNOHANG);
            if (result == Pid)
            {
                _reaped = true;
                int signal = status & 0x7f;
                ExitCode = signal == 0 ? (status >> 8) & 0xff : 128 + signal;
            }
            else if (result < 0 && Marshal.GetLastPInvokeError() != Errno.EINTR)
            {
                // ECHILD: something else in this process reaped it; its code is lost, but it has ended.
                _reaped = true;
                ExitCode = -1;
            }
            else if (Clocks.MonotonicNanoseconds >= end)
            {
                return false;
            }
            else
            {
                Thread.Sleep(1);
            }
        }

        return true;
    }

    public void Dispose()
    {
        if (!_reaped)
        {
            _ = NativeMethods.Kill(Pid, SIGKILL);
            TryWait(TimeSpan.FromSeconds(1));
        }
    }
}
