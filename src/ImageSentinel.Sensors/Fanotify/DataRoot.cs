using System.Text;
using ImageSentinel.Interop;

namespace ImageSentinel.Sensors.Fanotify;

/// <summary>One engine's data root as the file sensor watches it. Owns the anchor.</summary>
internal sealed class DataRoot(byte engine, FileSystemAnchor anchor)
{
    private readonly byte[] _prefix = Encoding.UTF8.GetBytes(anchor.Path.TrimEnd('/') + "/");

    public byte Engine => engine;

    public FileSystemAnchor Anchor => anchor;

    /// <summary>True when the absolute path is this root or below it.</summary>
    public bool Contains(ReadOnlySpan<byte> path, out ReadOnlySpan<byte> relative)
    {
        if (path.StartsWith(_prefix))
        {
            relative = path[_prefix.Length..];
            return true;
        }

        relative = default;
        return path.SequenceEqual(_prefix.AsSpan(0, _prefix.Length - 1));
    }

    /// <summary>The absolute path of something below this root.</summary>
    public byte[] PathOf(ReadOnlySpan<byte> relative) => [.. _prefix, .. relative];
}
