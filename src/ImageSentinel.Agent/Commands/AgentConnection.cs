using System.CommandLine;
using ImageSentinel.Agent.Control;

namespace ImageSentinel.Agent.Commands;

/// <summary>How commands find the running agent: <c>--socket</c>, else the configuration's control_socket.</summary>
internal sealed class AgentConnection
{
    private readonly CommandLine _line;
    private readonly Option<string?> _config = CommandLine.ConfigOption();

    private readonly Option<string?> _socket = new("--socket")
    {
        Description = "The running agent's control socket (default: control_socket of the configuration)",
        HelpName = "PATH",
    };

    public AgentConnection(CommandLine line, Command command)
    {
        _line = line;
        command.Add(_config);
        command.Add(_socket);
    }

    /// <exception cref="CommandException">The configuration that would name the socket is wrong.</exception>
    public AgentClient Open(ParseResult result)
        => new(result.GetValue(_socket) ?? _line.Context.LoadOptions(result.GetValue(_config)).ControlSocket);
}
