using ImageSentinel.Agent.Commands;
using ImageSentinel.Agent.Control;
using ImageSentinel.Agent.Lifetime;
using ImageSentinel.Agent.Options;
using ImageSentinel.Agent.Outputs;
using ImageSentinel.V1;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace ImageSentinel.Tests.Agent;

/// <summary>A pipeline that says what it is told to say; everything around it is the real shell.</summary>
internal sealed class FakePipeline(OutputWriter records) : IAgentPipeline, IAgentState
{
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public OutputWriter Writer { get; } = records;

    public List<AgentOptions> Reloads { get; } = [];

    public List<(string Destination, string Reason)> Approved { get; } = [];

    public List<KnownDestination> Known { get; } = [];

    public bool Stopped { get; private set; }

    public long Steps { get; set; } = 1;

    public Func<Task>? OnStop { get; set; }

    public IAgentState State => this;

    public long Progress => Steps;

    public Task Completion => _completion.Task;

    public Task StartAsync(CancellationToken cancellation) => Task.CompletedTask;

    public IReadOnlyList<string> Reload(AgentOptions options)
    {
        Reloads.Add(options);
        return [];
    }

    public async Task StopAsync(CancellationToken deadline)
    {
        if (OnStop is not null)
        {
            await OnStop();
        }

        Stopped = true;
    }

    public void Die() => _completion.SetResult();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    public GetStatusResponse GetStatus() => new()
    {
        Coverage = AgentCorpus.Records("attack.jsonl")[0].Coverage,
        Collector = "none",
        Engines = { new EngineStatus { Socket = "/run/docker.sock", Reachable = true } },
    };

    public IReadOnlyCollection<KnownDestination> ListDestinations() => Known;

    public void ApproveDestination(string destination, string reason)
    {
        if (!char.IsAsciiDigit(destination[0]))
        {
            throw new FormatException("write an address, address:port or CIDR");
        }

        Approved.Add((destination, reason));
    }

    public uint ForgetDestination(string destination) => (uint)Known.RemoveAll(known => known.Destination == destination);
}

/// <summary>The real shell around a <see cref="FakePipeline"/>, in a folder of its own, with commands to talk to it.</summary>
internal sealed class FakeAgent : IAgentParts, IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource<FakePipeline> _created = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task<ExitCode>? _run;

    public string Folder { get; } = Directory.CreateTempSubdirectory("imagesentinel-").FullName;

    public string Socket => Path.Combine(Folder, "agent.sock");

    public StringWriter Out { get; } = new();

    /// <summary>What the next reload reads.</summary>
    public string NextConfiguration { get; set; } = "";

    public AgentOptions Options => ConfigurationLoader.Defaults with
    {
        StateDirectory = Path.Combine(Folder, "state"),
        ControlSocket = Socket,
        Outputs = ConfigurationLoader.Defaults.Outputs with { Journald = false, JsonLines = Path.Combine(Folder, "out.json") },
    };

    public IRecordOutput? Spool { get; init; }

    public Task<ExitCode> Run => _run ?? throw new InvalidOperationException("not started");

    public static async Task<FakeAgent> StartAsync()
    {
        var agent = new FakeAgent();
        await agent.Start();
        return agent;
    }

    public async Task<FakePipeline> Start()
    {
        var request = new RunRequest(Options, () => ConfigurationLoader.Parse("t.yaml", NextConfiguration), Out, OutIsTerminal: false);
        _run = Task.Run(() => new AgentShell(request, this, NullLoggerFactory.Instance).RunAsync(_stop.Token));
        Task first = await Task.WhenAny(_created.Task, _run);
        if (first == _run)
        {
            await _run;
        }

        FakePipeline pipeline = await _created.Task;
        // Ready is the only moment a client may count on; the socket answers from then on.
        while (!_run.IsCompleted && !ControlSocket.IsAlive(Socket))
        {
            await Task.Yield();
        }

        return pipeline;
    }

    public async Task<FakePipeline> Pipeline() => await _created.Task;

    public async Task Say(string corpus)
    {
        FakePipeline pipeline = await _created.Task;
        foreach (OutputRecord record in AgentCorpus.Records(corpus))
        {
            pipeline.Writer.Write(record);
        }

        await pipeline.Writer.FlushAsync();
    }

    public Task<ExitCode> Stop()
    {
        _stop.Cancel();
        return Run;
    }

    /// <summary>Runs a command of the program against this agent, in-process.</summary>
    public Task<(int Code, string Out, string Error)> Command(params string[] arguments)
        => InProcess.RunAsync([.. arguments, "--socket", Socket]);

    public async ValueTask DisposeAsync()
    {
        if (_run is not null)
        {
            await ((Task)Stop()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        _stop.Dispose();
        Directory.Delete(Folder, recursive: true);
    }

    public IRecordOutput? OpenSpool(AgentOptions options, ILoggerFactory loggers) => Spool;

    public IAgentPipeline CreatePipeline(AgentOptions options, OutputWriter records, ILoggerFactory loggers)
    {
        var pipeline = new FakePipeline(records);
        _created.SetResult(pipeline);
        return pipeline;
    }
}

/// <summary>The program's command line without the program.</summary>
internal static class InProcess
{
    public static Task<(int Code, string Out, string Error)> RunAsync(params string[] arguments) => RunAsync(arguments, null);

    public static async Task<(int Code, string Out, string Error)> RunAsync(
        string[] arguments,
        Func<CommandContext, CommandContext>? change,
        CancellationToken cancellation = default)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var context = new CommandContext { Out = output, Error = error, Environment = new Dictionary<string, string>() };
        int code = await new CommandLine(change?.Invoke(context) ?? context).InvokeAsync(arguments, cancellation);
        return (code, output.ToString(), error.ToString());
    }
}
