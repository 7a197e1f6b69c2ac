using System.Text;
using ImageSentinel.Detection.Builds;

namespace ImageSentinel.Detection.Files;

/// <summary>Recognises a file inside a layer: <c>overlay2/ID/diff/PATH</c> below a data root.</summary>
public static class LayerPath
{
    private const string Root = "overlay2/";

    /// <param name="path">Relative to the data root.</param>
    /// <param name="layer">The layer's directory name: 25 characters of BuildKit's, or 64 hexadecimal digits.</param>
    /// <param name="inside">Path below the layer, no leading slash.</param>
    public static bool TryParse(ReadOnlySpan<byte> path, out ReadOnlySpan<byte> layer, out ReadOnlySpan<byte> inside)
    {
        layer = default;
        inside = default;
        if (!path.StartsWith("overlay2/"u8))
        {
            return false;
        }

        ReadOnlySpan<byte> rest = path[Root.Length..];
        int slash = rest.IndexOf((byte)'/');
        if (slash < 0 || !rest[slash..].StartsWith("/diff/"u8))
        {
            return false;
        }

        layer = rest[..slash];
        inside = rest[(slash + "/diff/".Length)..];
        return !inside.IsEmpty && (BundlePath.IsStepId(layer) || BundlePath.IsContainerId(layer));
    }

    public static string Of(string layer) => $"{Root}{layer}/diff/";

    /// <summary>The path of a file of a layer, below the data root.</summary>
    public static byte[] Of(string layer, ReadOnlySpan<byte> inside) => [.. Encoding.UTF8.GetBytes(Of(layer)), .. inside];
}
