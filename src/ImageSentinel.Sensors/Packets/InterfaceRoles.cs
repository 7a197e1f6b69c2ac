using System.Globalization;
using ImageSentinel.Kernel.Packets;

namespace ImageSentinel.Sensors.Packets;

/// <summary>What each network interface is to containers. Used by one thread.</summary>
/// <remarks>An index is never given to a second interface while the host runs (net/core/dev.c counts up), so an answer
/// stays right; what is not known yet is looked up when its first packet comes.</remarks>
internal sealed class InterfaceRoles
{
    private const string Interfaces = "/sys/class/net";
    private const int MaximumKnown = 4096;

    private readonly Dictionary<int, InterfaceRole> _roles = [];

    public static bool IsBridge(string name) => Directory.Exists($"{Interfaces}/{name}/bridge");

    public InterfaceRole Of(int index)
    {
        if (_roles.TryGetValue(index, out InterfaceRole role))
        {
            return role;
        }

        if (_roles.Count > MaximumKnown)
        {
            _roles.Clear();
        }

        Scan();
        if (!_roles.TryGetValue(index, out role))
        {
            // Gone already: as little trusted as can be.
            _roles[index] = role = InterfaceRole.Bridge;
        }

        return role;
    }

    private void Scan()
    {
        try
        {
            foreach (string path in Directory.EnumerateFileSystemEntries(Interfaces))
            {
                if (int.TryParse(ReadLine($"{path}/ifindex"), NumberStyles.None, CultureInfo.InvariantCulture, out int index))
                {
                    _roles[index] = Directory.Exists($"{path}/bridge") ? InterfaceRole.Bridge
                        : Directory.Exists($"{path}/brport") ? InterfaceRole.BridgePort
                        : InterfaceRole.Uplink;
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // No sysfs here; what is not known counts as a bridge.
        }
    }

    private static string ReadLine(string path)
    {
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
