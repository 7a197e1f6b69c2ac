using ImageSentinel.V1;

namespace ImageSentinel.Agent.Outputs;

/// <summary>The model's enums in a person's words.</summary>
public static class BuildWords
{
    public static string Verdict(Verdict verdict) => verdict switch
    {
        V1.Verdict.Clean => "clean",
        V1.Verdict.Suspicious => "suspicious",
        V1.Verdict.Malicious => "malicious",
        V1.Verdict.Unknown => "unknown",
        _ => "not judged yet",
    };

    public static string Result(BuildResult result) => result switch
    {
        BuildResult.Succeeded => "succeeded",
        BuildResult.Failed => "failed",
        BuildResult.Cancelled => "cancelled",
        BuildResult.NoImage => "made no image",
        _ => "running",
    };

    public static string Builder(Builder builder) => builder switch
    {
        V1.Builder.Buildkit => "BuildKit",
        V1.Builder.Classic => "classic",
        V1.Builder.ContainerDriver => "BuildKit in a container",
        V1.Builder.Buildah => "buildah",
        V1.Builder.Commit => "commit",
        V1.Builder.Import => "import",
        V1.Builder.Load => "load",
        V1.Builder.Kaniko => "executor in a container",
        _ => "unknown builder",
    };

    public static string Sensor(SensorState state) => state switch
    {
        SensorState.Active => "active",
        SensorState.Degraded => "degraded",
        SensorState.Off => "off",
        _ => "unknown",
    };
}
