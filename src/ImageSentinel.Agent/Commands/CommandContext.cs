using System.Collections;
using ImageSentinel.Agent.Lifetime;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Outputs;

namespace ImageSentinel.Agent.Commands;

/// <summary>Everything a command touches outside of itself, so that tests can run each one in-process.</summary>
internal sealed record CommandContext
{
    public required TextWriter Out { get; init; }

    public required TextWriter Error { get; init; }

    public bool OutIsTerminal { get; init; }

    public required IReadOnlyDictionary<string, string> Environment { get; init; }

    /// <summary>What <c>run</c> is made of. A command whose part is absent is not offered.</summary>
    public IAgentParts? Parts { get; init; }

    public IReplayRunner? Replay { get; init; }

    public IRecorder? Recorder { get; init; }

    public IDoctor? Doctor { get; init; }

    public IPostureExaminer? Posture { get; init; }

    /// <summary>The capture that <c>demo</c> plays. The caller disposes it.</summary>
    public Func<Stream>? OpenDemo { get; init; }

    public static Dictionary<string, string> ProcessEnvironment()
    {
        var all = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (DictionaryEntry entry in System.Environment.GetEnvironmentVariables())
        {
            if (entry is { Key: string name, Value: string value })
            {
                all[name] = value;
            }
        }

        return all;
    }

    /// <exception cref="CommandException">Exit 78 with every error, one per line.</exception>
    public AgentOptions LoadOptions(string? path)
    {
        ConfigurationResult result = ConfigurationLoader.Load(path, Environment);
        return result.Options ?? throw new CommandException(ExitCode.Configuration, Describe(result));
    }

    public static string Describe(ConfigurationResult result)
        => string.Join('\n', result.Errors.Select(error => Printable.Sentence(error.ToString(), 1000)));

    public Spectre.Console.IAnsiConsole Console() => Terminal.Create(Out, OutIsTerminal);
}
