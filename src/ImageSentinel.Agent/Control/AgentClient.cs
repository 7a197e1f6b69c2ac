using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;
using ImageSentinel.Agent.Commands;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Control;

/// <summary>A command's side of the control socket.</summary>
internal sealed class AgentClient : IDisposable
{
    private readonly GrpcChannel _channel;
    private readonly string _path;

    /// <param name="path">The running agent's control socket.</param>
    public AgentClient(string path)
    {
        _path = path;
        // The authority is a formality: the socket is the address.
        _channel = GrpcChannel.ForAddress("http://imagesentinel", new GrpcChannelOptions
        {
            HttpHandler = new SocketsHttpHandler { ConnectCallback = Connect, UseProxy = false },
            DisposeHttpClient = true,
            MaxReceiveMessageSize = 64 << 20,
        });
        Service = new AgentService.AgentServiceClient(_channel);
    }

    public AgentService.AgentServiceClient Service { get; }

    /// <summary>Runs a call and turns every way in which it can fail into one line and an exit code.</summary>
    public async Task<T> Ask<T>(Func<AgentService.AgentServiceClient, Task<T>> call)
    {
        try
        {
            return await call(Service).ConfigureAwait(false);
        }
        catch (RpcException e)
        {
            throw Explain(e);
        }
    }

    public void Dispose() => _channel.Dispose();

    internal CommandException Explain(RpcException e)
    {
        string detail = Outputs.Printable.Sentence(e.Status.Detail, 400);
        return e.StatusCode switch
        {
            StatusCode.NotFound => new(ExitCode.Failure, detail),
            StatusCode.InvalidArgument => new(ExitCode.Usage, detail),
            StatusCode.Unavailable when Refusal(e.Status.DebugException) is { } refusal => refusal,
            StatusCode.Unavailable => new(ExitCode.Unavailable, $"the agent on {_path} went away"),
            _ => new(ExitCode.Failure, $"the agent on {_path} answered {e.StatusCode}: {detail}"),
        };
    }

    private CommandException? Refusal(Exception? e)
    {
        for (; e is not null; e = e.InnerException)
        {
            switch (e)
            {
                case SocketException { SocketErrorCode: SocketError.AccessDenied }:
                    return new(ExitCode.MissingPrivilege, $"permission denied on {_path}; become root or a member of the group {ControlSocket.Group}");
                case SocketException:
                    return new(ExitCode.Unavailable, $"no agent answers on {_path}; start it with \"systemctl start imagesentinel\" or \"sudo imagesentinel run\"");
            }
        }

        return null;
    }

    private async ValueTask<Stream> Connect(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(_path), cancellation).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
