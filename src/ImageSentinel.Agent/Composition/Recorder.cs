using ImageSentinel.Agent.Commands;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.Agent.Pipeline;
using ImageSentinel.Sensors.Replay;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace ImageSentinel.Agent.Composition;

/// <summary>Runs the sensors for a while and keeps what they read. Tells nobody, learns nothing that stays.</summary>
internal sealed class Recorder : IRecorder
{
    public async Task<RecordSummary> RecordAsync(AgentOptions options, string path, CancellationToken cancellation)
    {
        FileStream file;
        try
        {
            file = new FileStream(path, new FileStreamOptions
            {
                Mode = FileMode.Create,
                Access = FileAccess.Write,
                Share = FileShare.Read,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            });
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandException(ExitCode.Failure, $"{path}: {e.Message}");
        }

        string state = Directory.CreateTempSubdirectory("imagesentinel-record-").FullName;
        try
        {
            string raw = Path.Combine(state, "raw.iscap");
            using var capture = new CaptureWriter(new FileStream(raw, FileMode.CreateNew));
            ILoggerFactory loggers = NullLoggerFactory.Instance;
            await using var records = new OutputWriter([], loggers.CreateLogger<OutputWriter>());
            AgentOptions own = options with
            {
                StateDirectory = state,
                Outputs = options.Outputs with { Collector = options.Outputs.Collector with { Url = null } },
            };
            await using var pipeline = new AgentPipeline(own, records, null, loggers, capture);
            try
            {
                await pipeline.StartAsync(cancellation).ConfigureAwait(false);
                await pipeline.Completion.WaitAsync(cancellation).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                // Ctrl-C or the time asked for: the recording is complete.
            }

            await pipeline.StopAsync(CancellationToken.None).ConfigureAwait(false);
            ulong lost = pipeline.State.GetStatus().Coverage?.LostEvents ?? 0;
            capture.Dispose();
            using var trimmed = new CaptureWriter(file);
            CaptureTrimmer.Trim(() => new CaptureReader(File.OpenRead(raw), path), item => trimmed.Write(item));
            trimmed.Dispose();
            return new RecordSummary(trimmed.Items, new FileInfo(path).Length, (long)lost);
        }
        finally
        {
            Directory.Delete(state, recursive: true);
        }
    }
}
