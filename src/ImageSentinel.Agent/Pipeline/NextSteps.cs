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

        if (finding.Detector == DetectorDefinition.TaintedImageDeployed)
        {
            yield return $"Stop it and keep it for a look: docker stop {finding.ContainerId} (not docker rm)";
            yield return $"What else runs from that image: docker ps -a --filter ancestor={finding.ImageId}";
            yield return $"What else was built on it: imagesentinel builds --json | grep {finding.BuildId}";
        }

        if ((finding.Detector == DetectorDefinition.DownloadedExecutable || finding.Detector == DetectorDefinition.PersistenceWrite)
            && finding.Build is { } source)
        {
            if (source.ImageId.Length > 0)
            {
                yield return $"What runs from the image: docker ps -a --filter ancestor={source.ImageId}";
            }

            if (finding.Evidence.Select(static e => e.File).FirstOrDefault(static f => f is { Sha256.Length: > 0 }) is { } file)
            {
                yield return $"Ask your feeds about sha256:{file.Sha256}; if it is right, approve where it came from: imagesentinel baseline approve {file.From?.Destination.ToString() ?? "DESTINATION"} --reason WHY";
            }
        }

        yield return $"The whole story: imagesentinel explain {finding.Uid}";
    }
}
