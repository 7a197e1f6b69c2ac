using System.Text;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Files;

/// <summary>One file that a build step created, wrote or moved into place.</summary>
public sealed class StepFile(byte[] name, string layer, Stamp first)
{
    /// <summary>Path as the step sees it, without the leading slash: bytes as the file system has them.</summary>
    internal byte[] Name { get; } = name;

    /// <summary>Path as the step sees it; lossy where it is not UTF-8. To be escaped wherever it is shown.</summary>
    public string Path { get; } = "/" + Encoding.UTF8.GetString(name);

    /// <summary>Storage driver directory it lies in.</summary>
    public string Layer { get; internal set; } = layer;

    public Stamp First { get; } = first;

    public Stamp Last { get; internal set; } = first;

    /// <summary>Bytes; -1 until it was looked at.</summary>
    public long Size { get; internal set; } = -1;

    /// <summary>Permission bits as stat(2) gives them.</summary>
    public uint Mode { get; internal set; }

    public FileKind Kind { get; internal set; }

    /// <summary>Hexadecimal; empty when it was not computed, and then <see cref="Note"/> says why where that is news.</summary>
    public string Sha256 { get; internal set; } = "";

    /// <summary>What keeps us from telling more, in fixed words; else empty.</summary>
    public string Note { get; internal set; } = "";

    /// <summary>Who wrote it first.</summary>
    public ProcessSnapshot? WrittenBy { get; internal set; }

    /// <summary>True when the build was seen to execute it, directly or through an interpreter.</summary>
    public bool Executed => ExecutedAt is not null;

    public Stamp? ExecutedAt { get; internal set; }

    public PersistenceKind Persistence { get; internal set; }

    /// <summary>The destination that it came from as far as time and ancestry tell; null when there is none.</summary>
    public Builds.Egress? From { get; internal set; }

    /// <summary>How sure that is: 0 to 1.</summary>
    public double FromConfidence { get; internal set; }

    /// <summary>True when the step itself removed it again.</summary>
    public bool Removed { get; internal set; }

    /// <summary>What an indicator feed says of its hash; else empty.</summary>
    public string Indicator { get; internal set; } = "";

    internal bool Runnable => Kind is FileKind.Elf or FileKind.Script || Executed;

    /// <summary>Set once it was asked who wrote it, whether or not that could be told.</summary>
    internal bool WriterKnown { get; set; }

    /// <summary>A look was asked for and not answered yet.</summary>
    internal bool Looking { get; set; }

    /// <summary>It changed while a look was on its way.</summary>
    internal bool LookAgain { get; set; }

    internal int Looks { get; set; }

    /// <summary>How much of it the story was told: raised, never lowered.</summary>
    internal Severity Told { get; set; }
}
