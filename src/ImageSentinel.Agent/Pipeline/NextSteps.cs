using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>What whoever is woken by a finding does next, as commands where there are any.</summary>
internal static class NextSteps
{
    public static IEnumerable<string> For(Finding finding)
    {
        if (finding.Build is { } build && finding.Detector == DetectorDefinition.NeverSeenEgress)
        {
            if (build.Clients.Count > 0 && build.Clients[0].Process is { } asker)
            {
                yield return $"Ask uid {asker.Uid} (login uid {(asker.LoginUid == uint.MaxValue ? "none" : asker.LoginUid)}) whether this build is theirs.";
            }

            if (build.ImageId.Length > 0)
            {
                yield return $"See what runs from the image: docker ps --filter ancestor={build.ImageId}";
            }

            Egress? egress = finding.Evidence.FirstOrDefault(static e => e.Egress is not null)?.Egress;
            if (egress is not null)
            {
                yield return $"If the destination is right: imagesentinel baseline approve {egress.Destination} --reason WHY";
            }
        }

        yield return $"The whole story: imagesentinel explain {finding.Uid}";
    }
}
