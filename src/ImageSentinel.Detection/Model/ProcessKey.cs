namespace ImageSentinel.Detection.Model;

/// <summary>A process. The kernel reuses pids within seconds; with the start time they are unique until reboot.</summary>
/// <param name="Pid">Thread group id in the host's pid namespace.</param>
/// <param name="StartBoot">Start on the boot clock, nanoseconds; exact to the source it came from (fork event: exact;
/// process file system: 10 ms).</param>
public readonly record struct ProcessKey(int Pid, long StartBoot);
