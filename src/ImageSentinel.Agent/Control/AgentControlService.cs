using System.Threading.Channels;
using Grpc.Core;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Control;

/// <summary>Answers the commands of the same program on the control socket.</summary>
internal sealed class AgentControlService(IAgentState state, AgentHistory history) : AgentService.AgentServiceBase
{
    private const int LongestDestination = 256;
    private const int LongestReason = 1024;

    public override Task<GetStatusResponse> GetStatus(GetStatusRequest request, ServerCallContext context)
    {
        GetStatusResponse status = state.GetStatus();
        history.Describe(status);
        status.ResidentKib = (uint)Math.Min(Environment.WorkingSet / 1024, uint.MaxValue);
        return Task.FromResult(status);
    }

    public override Task WatchBuilds(WatchBuildsRequest request, IServerStreamWriter<WatchBuildsResponse> responseStream, ServerCallContext context)
        => Watch(
            request.Follow,
            request.Last,
            () => history.RecentBuilds(request.Last),
            record => record.Build,
            build => new WatchBuildsResponse { Build = build },
            responseStream,
            context);

    public override Task WatchFindings(WatchFindingsRequest request, IServerStreamWriter<WatchFindingsResponse> responseStream, ServerCallContext context)
        => Watch(
            request.Follow,
            request.Last,
            () => history.RecentFindings(request.Last, request.AtLeast),
            record => record.Finding is { } finding && finding.Severity >= request.AtLeast ? finding : null,
            finding => new WatchFindingsResponse { Finding = finding },
            responseStream,
            context);

    public override Task<ExplainResponse> Explain(ExplainRequest request, ServerCallContext context)
    {
        ExplainResponse story = history.Explain(request.Uid)
            ?? throw new RpcException(new Status(StatusCode.NotFound, "no finding has this uid, or it is older than what the agent keeps in memory"));
        if (request.WithCapture && story.Finding.BuildId.Length > 0 && state.CaptureOf(story.Finding.BuildId) is { } capture)
        {
            story.Capture = Google.Protobuf.ByteString.CopyFrom(capture);
        }

        return Task.FromResult(story);
    }

    public override async Task ListDestinations(ListDestinationsRequest request, IServerStreamWriter<ListDestinationsResponse> responseStream, ServerCallContext context)
    {
        foreach (KnownDestination destination in state.ListDestinations())
        {
            await responseStream.WriteAsync(new ListDestinationsResponse { Destination = destination }, context.CancellationToken).ConfigureAwait(false);
        }
    }

    public override Task<ApproveDestinationResponse> ApproveDestination(ApproveDestinationRequest request, ServerCallContext context)
    {
        Refuse(request.Reason.Length > LongestReason, $"a reason has at most {LongestReason} characters");
        Try(request.Destination, destination => state.ApproveDestination(destination, request.Reason));
        return Task.FromResult(new ApproveDestinationResponse());
    }

    public override Task<ForgetDestinationResponse> ForgetDestination(ForgetDestinationRequest request, ServerCallContext context)
    {
        uint removed = 0;
        Try(request.Destination, destination => removed = state.ForgetDestination(destination));
        return Task.FromResult(new ForgetDestinationResponse { Removed = removed });
    }

    private static void Try(string destination, Action<string> act)
    {
        Refuse(destination.Length is 0 or > LongestDestination, "name a destination: an address, address:port or CIDR");
        try
        {
            act(destination);
        }
        catch (FormatException e)
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, e.Message));
        }
    }

    private static void Refuse(bool condition, string message)
    {
        if (condition)
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, message));
        }
    }

    private async Task Watch<TItem, TResponse>(
        bool follow,
        uint last,
        Func<IReadOnlyList<TItem>> recent,
        Func<OutputRecord, TItem?> select,
        Func<TItem, TResponse> wrap,
        IServerStreamWriter<TResponse> responses,
        ServerCallContext context)
        where TItem : class
    {
        if (!follow)
        {
            foreach (TItem item in recent())
            {
                await responses.WriteAsync(wrap(item), context.CancellationToken).ConfigureAwait(false);
            }

            return;
        }

        (IReadOnlyList<OutputRecord> kept, ChannelReader<OutputRecord> coming, IDisposable subscription) = history.Follow();
        using (subscription)
        {
            TItem[] items = [.. kept.Select(select).OfType<TItem>()];
            foreach (TItem item in last == 0 || last >= items.Length ? items : items[^(int)last..])
            {
                await responses.WriteAsync(wrap(item), context.CancellationToken).ConfigureAwait(false);
            }

            try
            {
                await foreach (OutputRecord record in coming.ReadAllAsync(context.CancellationToken).ConfigureAwait(false))
                {
                    if (select(record) is { } item)
                    {
                        await responses.WriteAsync(wrap(item), context.CancellationToken).ConfigureAwait(false);
                    }
                }
            }
            catch (InvalidOperationException e)
            {
                throw new RpcException(new Status(StatusCode.ResourceExhausted, e.Message));
            }
            catch (OperationCanceledException)
            {
                // The reader went away; that is how following ends.
            }
        }
    }
}
