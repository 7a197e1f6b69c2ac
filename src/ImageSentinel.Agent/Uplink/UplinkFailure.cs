using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;
using Grpc.Core;

namespace ImageSentinel.Agent.Uplink;

/// <summary>Says in one line what went wrong with the collector, so that the reader knows which end to look at.</summary>
internal static class UplinkFailure
{
    public static string Explain(Exception error, UplinkOptions options, UplinkChannel? channel, bool greeted)
    {
        if (channel?.ServerCertificateProblem is { } problem)
        {
            return problem;
        }

        if (error is UplinkException)
        {
            return error.Message;
        }

        // gRPC wraps what the socket or TLS said; that is the part worth telling.
        Exception? cause = (error as RpcException)?.Status.DebugException;

        // In TLS 1.3 a client has finished its handshake before the server looks at its certificate. A refusal then
        // comes as an alert, a reset or a bare end of the connection, whichever of our reads and writes meets it.
        if (channel is { ServerCertificateAccepted: true } && !greeted && cause is not null)
        {
            return options.Certificate is null
                ? "the collector closed the connection at once: it seems to want a client certificate (outputs.collector.cert and key)"
                : $"the collector closed the connection at once: it seems to refuse our certificate {options.Certificate}";
        }

        if (Find<AuthenticationException>(cause) is { } tls)
        {
            return $"no TLS connection to {options.Url.Authority}: {Clean(tls.Message)}";
        }

        if (Find<SocketException>(cause ?? error) is { } socket)
        {
            // Whoever speaks another protocol ends the connection at our first frame; which of our reads and writes meets
            // that end is a matter of chance.
            if (!greeted && socket.SocketErrorCode == SocketError.Shutdown)
            {
                return NotGrpc(options);
            }

            return $"unreachable: {Words(socket.SocketErrorCode)} ({options.Url.Authority})";
        }

        if (!greeted && (Find<HttpProtocolException>(cause) is not null
            || Find<HttpRequestException>(cause)?.HttpRequestError is HttpRequestError.VersionNegotiationError or HttpRequestError.InvalidResponse))
        {
            return NotGrpc(options);
        }

        return error switch
        {
            OperationCanceledException or TimeoutException => $"unreachable: no answer ({options.Url.Authority})",
            RpcException { StatusCode: StatusCode.Unavailable } rpc when cause is null => rpc.Status.Detail is { Length: > 0 } detail ? Clean(detail) : "unreachable",
            RpcException { StatusCode: StatusCode.PermissionDenied or StatusCode.Unauthenticated } rpc => $"the collector refused us: {Clean(rpc.Status.Detail)}",
            RpcException { StatusCode: StatusCode.Unimplemented } => $"unreachable: {options.Url.Authority} is not an ImageSentinel collector, or an older one",
            RpcException { StatusCode: StatusCode.InvalidArgument or StatusCode.ResourceExhausted } rpc => $"the collector did not accept what we sent: {Clean(rpc.Status.Detail)}",
            RpcException { StatusCode: StatusCode.Aborted } rpc => $"another agent uses this identity: {Clean(rpc.Status.Detail)}",
            RpcException rpc => $"unreachable: {Clean((Deepest(cause) ?? rpc).Message)} ({options.Url.Authority})",
            _ => $"unreachable: {Clean(error.Message)}",
        };
    }

    private static string NotGrpc(UplinkOptions options)
        => $"unreachable: {options.Url.Authority} does not speak gRPC; is this the collector's agent port?";

    private static T? Find<T>(Exception? error)
        where T : Exception
    {
        for (; error is not null; error = error.InnerException)
        {
            if (error is T found)
            {
                return found;
            }
        }

        return null;
    }

    private static Exception? Deepest(Exception? error)
    {
        while (error?.InnerException is { } inner)
        {
            error = inner;
        }

        return error;
    }

    private static string Words(SocketError code) => code switch
    {
        SocketError.ConnectionRefused => "connection refused",
        SocketError.TimedOut => "timed out",
        SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain => "name not found",
        SocketError.HostUnreachable or SocketError.NetworkUnreachable => "no route",
        SocketError.ConnectionReset => "connection reset",
        _ => code.ToString(),
    };

    // A status text comes from whoever answered; it goes to the journal and to terminals.
    private static string Clean(string text)
    {
        var clean = new StringBuilder(Math.Min(text.Length, 300));
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (clean.Length >= 300)
            {
                break;
            }

            clean.Append(rune.Value is >= 0x20 and < 0x7f ? (char)rune.Value : '?');
        }

        return clean.ToString();
    }
}
