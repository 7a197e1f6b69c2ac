using Google.Protobuf.WellKnownTypes;
using ImageSentinel.Detection.Baseline;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>The baseline as a list for people and exports.</summary>
internal static class BaselineListing
{
    public static List<V1.KnownDestination> Of(DestinationBaseline baseline)
    {
        var list = new List<V1.KnownDestination>();
        foreach (AllowedDestination allowed in baseline.Allowed)
        {
            list.Add(new V1.KnownDestination { Destination = allowed.Pattern.Text, Source = allowed.Source, Reason = allowed.Reason });
        }

        foreach (SeenDestination seen in baseline.Seen.All())
        {
            list.Add(new V1.KnownDestination
            {
                Destination = seen.Destination.ToString(),
                Count = seen.Count,
                FirstSeen = Timestamp.FromDateTimeOffset(DateTimeOffset.FromUnixTimeSeconds(seen.FirstSeen)),
                LastSeen = Timestamp.FromDateTimeOffset(DateTimeOffset.FromUnixTimeSeconds(seen.LastSeen)),
                Source = seen.OnTrial ? "container" : "seen",
            });
        }

        return list;
    }
}
