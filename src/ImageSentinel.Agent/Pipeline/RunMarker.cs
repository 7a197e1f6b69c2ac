namespace ImageSentinel.Agent.Pipeline;

/// <summary>A file that is there exactly while an agent runs: one that is found at start was left by an agent that was killed.</summary>
internal sealed class RunMarker(string stateDirectory)
{
    private readonly string _path = Path.Combine(stateDirectory, "running");

    /// <returns>True when an earlier agent did not stop in order.</returns>
    public bool Raise()
    {
        bool left = File.Exists(_path);
        try
        {
            File.WriteAllText(_path, "");
        }
        catch (IOException)
        {
            // A full disk: a kill will not be told by the next agent, which is no reason not to watch.
        }

        return left;
    }

    public void Lower()
    {
        try
        {
            File.Delete(_path);
        }
        catch (IOException)
        {
            // The state directory is gone or full: the next start will say that this one was not orderly, which is true.
        }
    }
}
