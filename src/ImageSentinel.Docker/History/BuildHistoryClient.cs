using Grpc.Core;
using Grpc.Net.Client;
using ImageSentinel.Detection.Model;
using ImageSentinel.Docker.BuildKit;

namespace ImageSentinel.Docker.History;

/// <summary>Reads one engine's build history. Two calls, both of which only read.</summary>
public sealed class BuildHistoryClient : IDisposable
{
    private const int MaximumMessage = 16 << 20;

    private readonly int _engine;
    private readonly SocketsHttpHandler _handler;
    private readonly GrpcChannel _channel;
    private readonly Control.ControlClient _control;

    /// <param name="engine">Index of the engine, for the facts.</param>
    /// <param name="socketPath">The engine's API socket.</param>
    public BuildHistoryClient(int engine, string socketPath)
    {
        _engine = engine;
        _handler = new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = (_, cancellation) => UpgradedConnection.OpenAsync(socketPath, cancellation),
        };
        _channel = GrpcChannel.ForAddress("http://engine", new GrpcChannelOptions
        {
            HttpHandler = _handler,
            MaxReceiveMessageSize = MaximumMessage,
        });
        _control = new Control.ControlClient(_channel);
    }

    /// <summary>Tells what is in the history, then what happens to it, until the engine ends it or it is cancelled.</summary>
    /// <exception cref="HistoryException">The engine keeps none, or the connection ended.</exception>
    public async Task ListenAsync(Action<BuildRecordFact> take, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(take);
        using AsyncServerStreamingCall<BuildHistoryEvent> call = _control.ListenBuildHistory(new BuildHistoryRequest(), cancellationToken: cancellation);
        while (await NextAsync(call.ResponseStream, cancellation).ConfigureAwait(false))
        {
            if (HistoryFacts.Record(_engine, call.ResponseStream.Current) is { } fact)
            {
                take(fact);
            }
        }
    }

    /// <summary>Waits until the engine has accepted the listening call, or refused it.</summary>
    /// <exception cref="HistoryException">The engine keeps none, or does not answer.</exception>
    public async Task ProbeAsync(CancellationToken cancellation)
    {
        // Answered at once with what is there; "EarlyExit" ends the stream instead of following it.
        using AsyncServerStreamingCall<BuildHistoryEvent> call = _control.ListenBuildHistory(
            new BuildHistoryRequest { EarlyExit = true, ActiveOnly = true },
            cancellationToken: cancellation);
        while (await NextAsync(call.ResponseStream, cancellation).ConfigureAwait(false))
        {
            // Who follows afterwards is told the same again.
        }
    }

    /// <summary>Tells a recorded build's steps, running or over, until the engine has told all.</summary>
    /// <exception cref="HistoryException">The record is gone, or the connection ended.</exception>
    /// <param name="take">Takes each message; false ends the call.</param>
    public async Task StepsAsync(string reference, Func<BuildVertexFact, bool> take, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(take);
        using AsyncServerStreamingCall<StatusResponse> call = _control.Status(new StatusRequest { Ref = reference }, cancellationToken: cancellation);
        while (await NextAsync(call.ResponseStream, cancellation).ConfigureAwait(false))
        {
            if (HistoryFacts.Steps(_engine, reference, call.ResponseStream.Current) is { } fact && !take(fact))
            {
                return;
            }
        }
    }

    public void Dispose()
    {
        _channel.Dispose();
        _handler.Dispose();
    }

    private static async Task<bool> NextAsync<T>(IAsyncStreamReader<T> stream, CancellationToken cancellation)
    {
        try
        {
            return await stream.MoveNext(cancellation).ConfigureAwait(false);
        }
        catch (RpcException e) when (!cancellation.IsCancellationRequested)
        {
            throw new HistoryException(e.StatusCode == StatusCode.Unimplemented, e.Status.Detail, e);
        }
        catch (RpcException e)
        {
            throw new OperationCanceledException("stopped", e, cancellation);
        }
    }
}

/// <summary>The history cannot be read.</summary>
/// <param name="notOffered">The engine keeps none, and will not before it is replaced.</param>
public sealed class HistoryException(bool notOffered, string message, Exception inner) : Exception(message, inner)
{
    public bool NotOffered { get; } = notOffered;
}
