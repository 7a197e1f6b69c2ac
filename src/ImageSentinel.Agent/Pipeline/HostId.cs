using System.Security.Cryptography;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>A random name for this host, made with the state directory; survives renames and restarts.</summary>
internal static class HostId
{
    public static string In(string stateDirectory)
    {
        string path = Path.Combine(stateDirectory, "host-id");
        try
        {
            string known = File.ReadAllText(path).Trim();
            if (known.Length == 32)
            {
                return known;
            }
        }
        catch (FileNotFoundException)
        {
            // First start.
        }

        string made = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        File.WriteAllText(path, made + "\n");
        return made;
    }
}
