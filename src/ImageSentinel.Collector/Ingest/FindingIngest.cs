using System.Buffers;
using Google.Protobuf;
using Grpc.Core;
using ImageSentinel.Collector.Api;
using ImageSentinel.Collector.Hosting;
using ImageSentinel.Collector.Store;
using ImageSentinel.V1;
using Microsoft.Data.Sqlite;

namespace ImageSentinel.Collector.Ingest;

/// <summary>The agents' side: greeting first, then batches, each acknowledged once it is durable.</summary>
/// <remarks>
/// One message is stored and answered before the next is read, so a slow disk holds the agents back through HTTP/2's
/// flow control instead of filling our memory. Whatever the stream says wrongly ends it with a status that says what;
/// a store that fails ends it with UNAVAILABLE, and the agent keeps its records.
/// </remarks>
internal sealed partial class FindingIngest(
    RecordStore store,
    RecordFeed feed,
    AgentStreams streams,
    IHostApplicationLifetime lifetime,
    TimeProvider time,
    ILogger<FindingIngest> logger) : FindingService.FindingServiceBase
{
    /// <summary>Bytes in one message. Agents send up to 512 KiB at a time and cut single records to 1 MiB.</summary>
    public const int MaximumMessageSize = 2 << 20;

    /// <summary>Agents send up to 128 records at a time.</summary>
    public const int MaximumBatch = 4096;

    private const int MaximumIdLength = 128;

    // Agents speak every 10 s; a stream without a word for this long has lost its other end.
    private static readonly TimeSpan IdleLimit = TimeSpan.FromSeconds(60);

    private static readonly SearchValues<char> IdCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-");

    public override async Task PublishFindings(
        IAsyncStreamReader<PublishFindingsRequest> requestStream,
        IServerStreamWriter<PublishFindingsResponse> responseStream,
        ServerCallContext context)
    {
        using var replaced = new CancellationTokenSource();
        using var idle = new CancellationTokenSource(IdleLimit, time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(
            context.CancellationToken, lifetime.ApplicationStopping, replaced.Token, idle.Token);
        SpoolIdentity? spool = null;
        string reason = "closed";
        try
        {
            while (await requestStream.MoveNext(stop.Token).ConfigureAwait(false))
            {
                idle.CancelAfter(IdleLimit);
                if (spool is null)
                {
                    spool = await GreetAsync(requestStream.Current, context, stop.Token).ConfigureAwait(false);
                    streams.Enter(spool, replaced);
                    AgentConnected(logger, Visible.Of(spool.Host.Hostname), spool.Host.HostId, spool.SpoolId, spool.Acked);
                    await responseStream.WriteAsync(new() { AckedSequence = spool.Acked }, stop.Token).ConfigureAwait(false);
                    continue;
                }

                ulong acked = await TakeAsync(spool, requestStream.Current).ConfigureAwait(false);
                spool = spool with { Acked = Math.Max(spool.Acked, acked) };
                await responseStream.WriteAsync(new() { AckedSequence = spool.Acked }, stop.Token).ConfigureAwait(false);
            }
        }
        catch (RpcException refusal)
        {
            reason = refusal.Status.Detail;
            TellRefused(context, refusal.StatusCode, reason);
            throw;
        }
        catch (Exception error) when (error is InvalidProtocolBufferException or InvalidDataException)
        {
            reason = "what was sent is no message of this service";
            TellRefused(context, StatusCode.InvalidArgument, reason);
            throw Invalid(reason);
        }
        catch (SqliteException error)
        {
            reason = "store failing";
            throw new RpcException(new Status(StatusCode.Unavailable, $"the collector cannot store: {StartupException.OneLine(error.Message)}"));
        }
        catch (Exception) when (stop.IsCancellationRequested)
        {
            (StatusCode code, reason) = replaced.IsCancellationRequested ? (StatusCode.Aborted, "a newer stream of this spool took over")
                : lifetime.ApplicationStopping.IsCancellationRequested ? (StatusCode.Unavailable, "the collector is stopping")
                : idle.IsCancellationRequested ? (StatusCode.DeadlineExceeded, "nothing was heard for too long")
                : (StatusCode.Cancelled, "connection lost");
            throw new RpcException(new Status(code, reason));
        }
        catch (IOException)
        {
            reason = "connection lost";
            throw new RpcException(new Status(StatusCode.Cancelled, reason));
        }
        finally
        {
            if (spool is not null)
            {
                streams.Leave(spool, replaced);
                AgentGone(logger, Visible.Of(spool.Host.Hostname), spool.Host.HostId, reason);
            }
        }
    }

    private async Task<SpoolIdentity> GreetAsync(PublishFindingsRequest request, ServerCallContext context, CancellationToken stop)
    {
        if (request.PayloadCase != PublishFindingsRequest.PayloadOneofCase.Hello)
        {
            throw Invalid("the first message of a stream must be hello");
        }

        AgentHello hello = request.Hello;
        if (!IsId(hello.SpoolId) || hello.Host is not { } host || !IsId(host.HostId))
        {
            throw Invalid("hello needs host.host_id and spool_id: letters, digits and ._:-, at most 128");
        }

        if (host.Hostname.Length > 255)
        {
            throw Invalid("hello: host.hostname is longer than 255 characters");
        }

        try
        {
            return await store.GreetAsync(hello, context.GetHttpContext().Connection.ClientCertificate?.Subject, stop).ConfigureAwait(false);
        }
        catch (IdentityException error)
        {
            throw new RpcException(new Status(StatusCode.PermissionDenied, error.Message));
        }
    }

    // Not cancelled half-way: what is being stored is stored and acknowledged, or neither.
    private async Task<ulong> TakeAsync(SpoolIdentity spool, PublishFindingsRequest request)
    {
        switch (request.PayloadCase)
        {
            case PublishFindingsRequest.PayloadOneofCase.Batch:
                return await StoreAsync(spool, request.Batch).ConfigureAwait(false);

            case PublishFindingsRequest.PayloadOneofCase.Heartbeat:
                await store.NoteHeartbeatAsync(spool, request.Heartbeat, CancellationToken.None).ConfigureAwait(false);
                return 0;

            case PublishFindingsRequest.PayloadOneofCase.Hello:
                throw Invalid("hello was said already");

            default:
                throw new RpcException(new Status(StatusCode.Unimplemented, "a kind of message this collector does not know; update the collector"));
        }
    }

    private async Task<ulong> StoreAsync(SpoolIdentity spool, RecordBatch batch)
    {
        if (batch.Records.Count is 0 or > MaximumBatch)
        {
            throw Invalid($"a batch holds 1 to {MaximumBatch} records, not {batch.Records.Count}");
        }

        ulong highest = 0;
        foreach (SpooledRecord record in batch.Records)
        {
            if (record.Sequence is 0 or > long.MaxValue)
            {
                throw Invalid($"sequence {record.Sequence} is not one of a spool");
            }

            highest = Math.Max(highest, record.Sequence);
        }

        List<StoredRecord> changed = await store.StoreAsync(spool, batch, CancellationToken.None).ConfigureAwait(false);
        feed.Publish(changed);
        return highest;
    }

    // Anybody who reaches the port can be refused as often as he likes; the log is not his.
    private void TellRefused(ServerCallContext context, StatusCode code, string reason)
    {
        if (streams.MayTellRefusal(time.GetUtcNow(), out long untold))
        {
            string more = untold > 0 ? $" ({untold} more were refused in the last minute)" : "";
            Refused(logger, Visible.Of(context.Peer), code, Visible.Of(reason) + more);
        }
    }

    private static bool IsId(string text)
        => text.Length is > 0 and <= MaximumIdLength && !text.AsSpan().ContainsAnyExcept(IdCharacters);

    private static RpcException Invalid(string what) => new(new Status(StatusCode.InvalidArgument, what));

    [LoggerMessage(EventIds.AgentConnected, LogLevel.Information, "Agent connected: {Hostname} (host {HostId}, spool {SpoolId}, stored through {Acked})")]
    private static partial void AgentConnected(ILogger logger, string hostname, string hostId, string spoolId, ulong acked);

    [LoggerMessage(EventIds.AgentGone, LogLevel.Information, "Agent gone: {Hostname} (host {HostId}): {Reason}")]
    private static partial void AgentGone(ILogger logger, string hostname, string hostId, string reason);

    [LoggerMessage(EventIds.AgentRefused, LogLevel.Warning, "Stream of {Peer} refused: {Code}: {Reason}")]
    private static partial void Refused(ILogger logger, string peer, StatusCode code, string reason);
}
