using ImageSentinel.Detection.Builds;

namespace ImageSentinel.Detection.History;

/// <summary>What a step of a recorded build is called: <c>[2/3] RUN …</c>, <c>[build 1/4] COPY …</c>, <c>[internal] …</c>.</summary>
public static class VertexName
{
    private const string Metadata = "[internal] load metadata for ";

    /// <summary>The instruction without its number; the name itself when it has none.</summary>
    public static string Instruction(string name)
    {
        int end = name.StartsWith('[') ? name.IndexOf("] ", StringComparison.Ordinal) : -1;
        return end < 0 ? name : name[(end + 2)..];
    }

    public static bool IsRun(string name) => Instruction(name).StartsWith("RUN ", StringComparison.Ordinal);

    /// <summary>The command of a RUN, in the form that steps have; empty for everything else.</summary>
    public static string Command(string name) => IsRun(name) ? Dockerfile.Normalize(Instruction(name)[4..]) : "";

    /// <summary>True for what an engine may execute a process for. An external frontend may call a step anything.</summary>
    public static bool MayExecute(string name)
    {
        string instruction = Instruction(name);
        return !name.StartsWith("[internal] ", StringComparison.Ordinal)
            && !instruction.StartsWith("FROM ", StringComparison.Ordinal)
            && !instruction.StartsWith("COPY ", StringComparison.Ordinal)
            && !instruction.StartsWith("ADD ", StringComparison.Ordinal)
            && !instruction.StartsWith("WORKDIR ", StringComparison.Ordinal)
            && !instruction.StartsWith("exporting ", StringComparison.Ordinal);
    }

    /// <summary>The base image whose metadata the engine looked up; empty for everything else.</summary>
    public static string BaseImage(string name) => name.StartsWith(Metadata, StringComparison.Ordinal) ? name[Metadata.Length..] : "";
}
