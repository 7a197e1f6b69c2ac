namespace ImageSentinel.Tests.Support;

/// <summary>Files of the source tree, found by walking up to the solution: a path baked in at compile time would be
/// wrong wherever the build is deterministic or the output was moved.</summary>
public static class RepositoryFiles
{
    private static readonly Lazy<string> s_root = new(Find);

    public static string Root => s_root.Value;

    public static string PathOf(params string[] parts) => Path.Combine([Root, .. parts]);

    private static string Find()
    {
        // The output may lie outside the tree (--artifacts-path); then the shell that started us is inside it. The
        // runner changes the working directory to the output, so only PWD still says where that was.
        foreach (string start in (string[])[AppContext.BaseDirectory, Environment.GetEnvironmentVariable("PWD") ?? "/"])
        {
            for (DirectoryInfo? directory = new(start); directory is not null; directory = directory.Parent)
            {
                if (File.Exists(Path.Combine(directory.FullName, "ImageSentinel.sln")))
                {
                    return directory.FullName;
                }
            }
        }

        throw new DirectoryNotFoundException("ImageSentinel.sln is neither above the test program nor above PWD; run from the repository");
    }
}
