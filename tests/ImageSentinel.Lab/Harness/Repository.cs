namespace ImageSentinel.Lab.Harness;

/// <summary>Where this checkout is, found from the running test and not from a path that the compiler wrote down.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    /// <summary>Folder of the published programs: <c>IMAGESENTINEL_BIN</c>, else what <c>build.sh build</c> makes.</summary>
    public static string Programs { get; } =
        Environment.GetEnvironmentVariable("IMAGESENTINEL_BIN") is { Length: > 0 } given ? given : Path.Combine(Root, "artifacts", "bin");

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "ImageSentinel.sln")))
            {
                return folder.FullName;
            }
        }

        // Built with an artifacts path outside the checkout.
        return Environment.GetEnvironmentVariable("IMAGESENTINEL_REPOSITORY")
            ?? throw new InvalidOperationException("run inside the checkout, or set IMAGESENTINEL_REPOSITORY to it");
    }
}
