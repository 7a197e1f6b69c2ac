using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Sensors.Lookups;

/// <summary>Reads what the host is: names, addresses, resolvers, users. Plain files only, never the name service.</summary>
public static class HostReader
{
    private const int MaximumUsers = 20_000;

    public static HostFact Read(string hostId, string agentVersion) => new(
        Environment.MachineName,
        hostId,
        FirstLine("/proc/sys/kernel/random/boot_id"),
        FirstLine("/proc/sys/kernel/osrelease"),
        agentVersion,
        Resolvers(),
        LocalAddresses(),
        Users(),
        Environment.ProcessId);

    private static string FirstLine(string path)
    {
        try
        {
            return File.ReadLines(path).FirstOrDefault("").Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    // resolv.conf(5). systemd-resolved's stub points at loopback; the servers behind it stand in its own file.
    private static List<string> Resolvers()
    {
        var resolvers = new List<string>();
        foreach (string path in (ReadOnlySpan<string>)["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"])
        {
            try
            {
                foreach (string line in File.ReadLines(path))
                {
                    string[] words = line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
                    if (words is ["nameserver", var address, ..] && !resolvers.Contains(address))
                    {
                        resolvers.Add(address);
                    }
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // A host without the file has no resolvers there.
                continue;
            }
        }

        return resolvers;
    }

    private static List<string> LocalAddresses()
    {
        try
        {
            return [.. NetworkInterface.GetAllNetworkInterfaces()
                .SelectMany(static i => i.GetIPProperties().UnicastAddresses)
                .Select(static u => new IPAddress(u.Address.GetAddressBytes()).ToString())
                .Distinct()];
        }
        catch (NetworkInformationException)
        {
            return [];
        }
    }

    private static List<UserName> Users()
    {
        var users = new List<UserName>();
        try
        {
            foreach (string line in File.ReadLines("/etc/passwd").Take(MaximumUsers))
            {
                string[] fields = line.Split(':');
                if (fields.Length >= 3 && uint.TryParse(fields[2], NumberStyles.None, CultureInfo.InvariantCulture, out uint uid))
                {
                    users.Add(new UserName(uid, fields[0]));
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return users;
        }

        return users;
    }
}
