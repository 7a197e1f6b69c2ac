using System.CommandLine;
using System.CommandLine.Invocation;
using ImageSentinel.Agent.Outputs;

namespace ImageSentinel.Agent.Commands;

/// <summary>The program's commands and how each of them ends.</summary>
internal sealed class CommandLine
{
    private readonly CommandContext _context;
    private readonly RootCommand _root;

    public CommandLine(CommandContext context)
    {
        _context = context;
        _root = new RootCommand("Tells, for every image built on this Docker host, who asked for it, what each step did on the network, and whether that was ever seen before.");
        foreach (Command? command in Commands())
        {
            if (command is not null)
            {
                _root.Add(command);
            }
        }

        foreach (Option option in _root.Options)
        {
            if (option is VersionOption version)
            {
                version.Action = new VersionAction(context.Out);
            }
        }
    }

    public CommandContext Context => _context;

    /// <summary><c>--config</c>, for every command that reads the configuration.</summary>
    public static Option<string?> ConfigOption() => new("--config", "-c")
    {
        Description = "Configuration file; it must exist (default: /etc/imagesentinel/imagesentinel.yaml, which may be absent)",
        HelpName = "FILE",
    };

    /// <param name="cancellation">SIGINT or SIGTERM.</param>
    public async Task<int> InvokeAsync(IReadOnlyList<string> arguments, CancellationToken cancellation)
    {
        ParseResult parsed = _root.Parse(arguments);
        var configuration = new InvocationConfiguration
        {
            Output = _context.Out,
            Error = _context.Error,
            EnableDefaultExceptionHandler = false,
            // Signals are handled in one place for the whole program, with the contract's ten seconds.
            ProcessTerminationTimeout = null,
        };

        if (parsed.Errors.Count > 0)
        {
            if (parsed.Action is ParseErrorAction complaint)
            {
                complaint.ShowHelp = false;
            }

            await parsed.InvokeAsync(configuration, CancellationToken.None).ConfigureAwait(false);
            await _context.Error.WriteLineAsync($"Try \"imagesentinel {(parsed.CommandResult.Command == _root ? "" : parsed.CommandResult.Command.Name + " ")}--help\".".AsMemory(), CancellationToken.None).ConfigureAwait(false);
            return (int)ExitCode.Usage;
        }

        return await parsed.InvokeAsync(configuration, cancellation).ConfigureAwait(false);
    }

    /// <summary>Gives a command its body. Every way in which a body fails ends as one line and an exit code.</summary>
    public void Bind(Command command, Func<ParseResult, CancellationToken, Task<ExitCode>> body)
        => command.SetAction(async (result, cancellation) =>
        {
            try
            {
                return (int)await body(result, cancellation).ConfigureAwait(false);
            }
            catch (CommandException e)
            {
                await _context.Error.WriteLineAsync(Prefix(e.Message).AsMemory(), CancellationToken.None).ConfigureAwait(false);
                return (int)e.Code;
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                return (int)ExitCode.Success;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                await _context.Error.WriteLineAsync(Prefix(Printable.Sentence(e.Message, 1000)).AsMemory(), CancellationToken.None).ConfigureAwait(false);
                return (int)(e is UnauthorizedAccessException ? ExitCode.MissingPrivilege : ExitCode.Failure);
            }
#pragma warning disable CA1031 // The program's last line: whatever it was, a person gets one sentence and scripts an exit code.
            catch (Exception e)
#pragma warning restore CA1031
            {
                await _context.Error.WriteLineAsync(Unexpected(e).AsMemory(), CancellationToken.None).ConfigureAwait(false);
                return (int)ExitCode.Failure;
            }
        });

    public void Bind(Command command, Func<ParseResult, ExitCode> body)
        => Bind(command, (result, _) => Task.FromResult(body(result)));

    // In the order of the help page.
    private Command?[] Commands() =>
    [
        _context.Parts is { } parts ? RunCommand.Create(this, parts) : null,
        StatusCommand.Create(this),
        _context.Doctor is { } doctor ? DoctorCommand.Create(this, doctor) : null,
        _context.Posture is { } posture ? PostureCommand.Create(this, posture) : null,
        BuildsCommand.Create(this),
        FindingsCommand.Create(this),
        ExplainCommand.Create(this),
        BaselineCommand.Create(this),
        _context.Recorder is { } recorder ? RecordCommand.Create(this, recorder) : null,
        _context.Replay is { } replay ? ReplayCommand.Create(this, replay) : null,
        ConfigCommand.Create(this),
        _context is { Replay: { } player, OpenDemo: { } open } ? DemoCommand.Create(this, player, open) : null,
    ];

    /// <summary>What nobody foresaw, in one line: the innermost cause says what is wrong (a library that is not there).</summary>
    internal static string Unexpected(Exception error)
    {
        Exception cause = error.GetBaseException();
        return Prefix(Printable.Sentence($"unexpected {cause.GetType().Name}: {cause.Message}", 1000));
    }

    private static string Prefix(string message) => $"imagesentinel: {message.Replace("\n", "\nimagesentinel: ", StringComparison.Ordinal)}";

    private sealed class VersionAction(TextWriter output) : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            output.WriteLine($"imagesentinel {ProgramVersion.Text}");
            return (int)ExitCode.Success;
        }
    }
}
