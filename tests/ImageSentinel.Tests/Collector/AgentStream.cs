using Grpc.Core;
using Grpc.Net.Client;
using ImageSentinel.V1;

namespace ImageSentinel.Tests.Collector;

/// <summary>One stream as an agent holds it, spoken word by word.</summary>
internal sealed class AgentStream(GrpcChannel channel) : IAsyncDisposable
{
    private readonly AsyncDuplexStreamingCall<PublishFindingsRequest, PublishFindingsResponse> _call =
        new FindingService.FindingServiceClient(channel).PublishFindings();

    public static AgentHello Hello(string spool = "spool-1", string host = "host-1") => new()
    {
        SpoolId = spool,
        FirstSequence = 1,
        Host = new HostInfo { HostId = host, Hostname = $"{host}.example" },
    };

    public static SpooledRecord Build(ulong sequence, string id, Verdict verdict = Verdict.Clean) => new()
    {
        Sequence = sequence,
        Record = new OutputRecord { Build = new Build { Id = id, Verdict = verdict } },
    };

    public static SpooledRecord Finding(ulong sequence, string uid, Severity severity = Severity.High, Activity activity = Activity.Create, string buildId = "") => new()
    {
        Sequence = sequence,
        Record = new OutputRecord { Finding = new Finding { Uid = uid, Severity = severity, Activity = activity, BuildId = buildId } },
    };

    public static RecordBatch Batch(params IEnumerable<SpooledRecord> records) => new() { Records = { records } };

    public Task<ulong> SayAsync(AgentHello hello) => SayAsync(new PublishFindingsRequest { Hello = hello });

    public Task<ulong> SayAsync(params SpooledRecord[] records) => SayAsync(new PublishFindingsRequest { Batch = Batch(records) });

    /// <summary>Sends one message and answers with what was acknowledged.</summary>
    public async Task<ulong> SayAsync(PublishFindingsRequest request)
    {
        try
        {
            await _call.RequestStream.WriteAsync(request);
        }
        catch (RpcException)
        {
            // The other side ended the call while we wrote; reading tells its status.
        }

        return await _call.ResponseStream.MoveNext(CancellationToken.None)
            ? _call.ResponseStream.Current.AckedSequence
            : throw new RpcException(_call.GetStatus());
    }

    public async ValueTask DisposeAsync()
    {
        _call.Dispose();
        await Task.CompletedTask;
    }
}
