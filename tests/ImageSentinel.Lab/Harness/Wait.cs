using System.Diagnostics;

namespace ImageSentinel.Lab.Harness;

/// <summary>Polls until something is so. The deadline only ends a hopeless wait: it is far beyond what any test needs,
/// so that a slow machine changes how long a test takes and never what it says.</summary>
internal static class Wait
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan _pause = TimeSpan.FromMilliseconds(50);

    public static async Task<T> ForAsync<T>(string what, Func<Task<T?>> probe)
        where T : class
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            if (await probe().ConfigureAwait(false) is { } found)
            {
                return found;
            }

            if (Stopwatch.GetElapsedTime(start) > _patience)
            {
                throw new AssertionException($"waited {_patience.TotalSeconds:0} s in vain for {what}");
            }

            await Task.Delay(_pause).ConfigureAwait(false);
        }
    }

    public static Task<T> ForAsync<T>(string what, Func<T?> probe)
        where T : class
        => ForAsync(what, () => Task.FromResult(probe()));

    public static Task UntilAsync(string what, Func<Task<bool>> condition)
        => ForAsync<object>(what, async () => await condition().ConfigureAwait(false) ? condition : null);

    public static Task UntilAsync(string what, Func<bool> condition)
        => ForAsync<object>(what, () => condition() ? condition : null);
}
