using System.Security.Cryptography;
using ImageSentinel.Agent.Commands;
using Microsoft.Extensions.Logging;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>A random name for this host, made with the state directory; survives renames and restarts.</summary>
internal static partial class HostId
{
    private const int Length = 32;

    /// <exception cref="CommandException">There is one that cannot be read: a new one beside it would make another host of this.</exception>
    public static string In(string stateDirectory, ILogger logger)
    {
        string path = Path.Combine(stateDirectory, "host-id");
        try
        {
            string known = File.ReadAllText(path).Trim();
            if (known.Length == Length && known.All(char.IsAsciiHexDigitLower))
            {
                return known;
            }

            Damaged(logger, path);
        }
        catch (FileNotFoundException)
        {
            // First start.
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandException(ExitCode.Failure, $"{path} cannot be read: {e.Message}");
        }

        string made = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(Length / 2));
        try
        {
            Write(path, made + "\n");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            NotKept(logger, path, e.Message);
        }

        return made;
    }

    // Whole or not at all, also after a power cut.
    private static void Write(string path, string text)
    {
        string fresh = path + ".new";
        using (FileStream file = File.Create(fresh))
        {
            file.Write(System.Text.Encoding.ASCII.GetBytes(text));
            file.Flush(flushToDisk: true);
        }

        File.Move(fresh, path, overwrite: true);
    }

    [LoggerMessage(3141, LogLevel.Warning, "{Path} does not hold a host's identity; this host gets a new one, and a collector sees another host")]
    private static partial void Damaged(ILogger logger, string path);

    [LoggerMessage(3142, LogLevel.Warning, "{Path} cannot be written, so this identity lasts until the agent stops: {Problem}")]
    private static partial void NotKept(ILogger logger, string path, string problem);
}
