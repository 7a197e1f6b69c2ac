using System.Globalization;
using ImageSentinel.Detection.Model;
using ImageSentinel.Docker;
using ImageSentinel.Interop;

namespace ImageSentinel.Sensors.Lookups;

/// <summary>Reads the image store of builders that have no daemon.</summary>
/// <remarks>containers/storage keeps one list per storage driver. The store may lie in a container: then it is read below the
/// root of a process there, and nothing in it can lead out.</remarks>
internal static class StoreReader
{
    private const int MaximumFile = 4 << 20;

    public static StoreImageFact? Find(StoreImageLookup lookup)
    {
        string root = lookup.Pid > 0 ? string.Create(CultureInfo.InvariantCulture, $"/proc/{lookup.Pid}/root") : "/";
        foreach (string driver in (ReadOnlySpan<string>)["overlay", "vfs", "btrfs", "zfs"])
        {
            if (SafeFile.ReadBeneath(root, $"{lookup.Root.Trim('/')}/{driver}-images/images.json", MaximumFile, out byte[] json) == SafeReadStatus.Done
                && EngineFiles.StoreImage(json, lookup.BuildId, lookup.Names) is { } image)
            {
                return image;
            }
        }

        return null;
    }
}
