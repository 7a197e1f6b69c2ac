using System.Globalization;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Detectors;

/// <summary>Counts the images each client makes in the operator's window.</summary>
internal sealed class ImageBurstDetector(CoreState state, FindingBook book)
{
    private readonly Dictionary<string, List<(Stamp At, string ImageId)>> _images = new(StringComparer.Ordinal);

    public void ImageMade(Build build, Stamp at)
    {
        if (build.ImageId.Length == 0 || build.Clients.Count == 0)
        {
            return;
        }

        string client = KeyOf(build.Clients[0]);
        if (!_images.TryGetValue(client, out List<(Stamp At, string ImageId)>? images))
        {
            images = [];
            _images[client] = images;
        }

        long window = state.Policy.TimeWindow;
        _ = images.RemoveAll(i => at.Since(i.At) > window);
        if (images.Exists(i => i.ImageId == build.ImageId))
        {
            return;
        }

        images.Add((at, build.ImageId));
        if (images.Count > state.Policy.NewImageThreshold)
        {
            Finding finding = book.OfHost(DetectorDefinition.ImageBurst, client, at, build);
            finding.Severity = Severity.Medium;
            finding.Message = string.Create(
                CultureInfo.InvariantCulture,
                $"{images.Count} images within {window / Stamp.Second} s by one client ({client}); the threshold is {state.Policy.NewImageThreshold}.");
            finding.Replace(new Evidence(at, finding.Message, build.Clients[0].Process, Client: build.Clients[0]));
            book.Changed(finding, at);
        }

        if (_images.Count > 1024)
        {
            _images.Clear();
        }
    }

    // Who, not which process: every docker command is a new process of the same client.
    private static string KeyOf(BuildClient client) => client.Address is { } address
        ? $"remote {address}"
        : client.Process is { } process
            ? string.Create(CultureInfo.InvariantCulture, $"uid {process.Uid}, login uid {(process.LoginUid == uint.MaxValue ? "none" : process.LoginUid)}{(process.ContainerId.Length > 0 ? ", container " + process.ContainerId[..12] : "")}")
            : "unknown";
}
