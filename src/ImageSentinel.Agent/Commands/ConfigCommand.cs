using System.CommandLine;
using System.Text.Json;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Outputs;

namespace ImageSentinel.Agent.Commands;

/// <summary><c>config</c>: is it right, what does it come to, what can be written.</summary>
internal static class ConfigCommand
{
    public static Command Create(CommandLine line) => new("config", "The configuration: check it, show what it comes to, describe it")
    {
        Check(line),
        Show(line),
        Schema(line),
    };

    private static Command Check(CommandLine line)
    {
        Option<string?> config = CommandLine.ConfigOption();
        var command = new Command("check", "Read it as run would, and name every mistake") { config };
        line.Bind(command, result =>
        {
            ConfigurationResult loaded = Load(line, result.GetValue(config));
            string sources = loaded.Sources.IsEmpty ? "no file, defaults" : string.Join(", ", loaded.Sources);
            line.Context.Out.WriteLine($"ok: {Printable.Sentence(sources, 2000)}");
            return ExitCode.Success;
        });
        return command;
    }

    private static Command Show(CommandLine line)
    {
        Option<string?> config = CommandLine.ConfigOption();
        var command = new Command("show", "What files and environment come to, with the origin of each value") { config };
        line.Bind(command, result =>
        {
            line.Context.Out.Write(ConfigurationText.Show(Load(line, result.GetValue(config)).Tree));
            return ExitCode.Success;
        });
        return command;
    }

    private static Command Schema(CommandLine line)
    {
        var command = new Command("schema", "JSON schema, for editors");
        line.Bind(command, _ =>
        {
            line.Context.Out.WriteLine(ConfigurationSchema.Build().ToJsonString(new JsonSerializerOptions { WriteIndented = true }));
            return ExitCode.Success;
        });
        return command;
    }

    private static ConfigurationResult Load(CommandLine line, string? path)
    {
        ConfigurationResult loaded = ConfigurationLoader.Load(path, line.Context.Environment);
        return loaded.Options is null ? throw new CommandException(ExitCode.Configuration, CommandContext.Describe(loaded)) : loaded;
    }
}
