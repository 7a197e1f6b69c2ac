using System.Globalization;

namespace ImageSentinel.Agent.Control;

/// <summary>The host's own group file. No name service is ever asked: it may be remote, slow, or watching us back.</summary>
internal static class HostGroups
{
    public static uint? IdOf(string name, string file = "/etc/group")
    {
        try
        {
            foreach (string line in File.ReadLines(file))
            {
                string[] parts = line.Split(':');
                if (parts.Length >= 3 && parts[0] == name && uint.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out uint id))
                {
                    return id;
                }
            }
        }
        catch (IOException)
        {
            // No group file, no group.
        }

        return null;
    }
}
