using Google.Protobuf;
using ImageSentinel.V1;

namespace ImageSentinel.Lab.Harness;

/// <summary>An agent with a state directory, a control socket and a JSON lines file of its own.</summary>
internal sealed class AgentUnderTest : IDisposable
{
    private static readonly JsonParser _parser = new(JsonParser.Settings.Default.WithIgnoreUnknownFields(true));

    /// <summary>The lab's requester and registry are expected: what is reported is what a step did.</summary>
    public const string RootMayBuild = "trusted_clients: [{uid: 0}]\n  new_image_threshold: 100000";

    private readonly string _folder;
    private readonly string _configuration;
    private ProgramUnderTest? _program;

    public AgentUnderTest(string folder, IEnumerable<string> sockets, Uri? collector, string mode = "enforcing", string extra = "", string policy = RootMayBuild)
    {
        _folder = folder;
        Directory.CreateDirectory(folder);
        _configuration = Path.Combine(folder, "imagesentinel.yaml");
        string engines = string.Concat(sockets.Select(socket => $"\n  - socket: {socket}"));
        File.WriteAllText(_configuration, $$"""
            state_dir: {{folder}}/state
            control_socket: {{folder}}/agent.sock
            engines:{{engines}}
            policy:
              registry_allow_list: ["127.0.0.1:5000"]
              {{policy}}
            baseline:
              mode: {{mode}}
            outputs:
              journald: false
              json_lines: {{folder}}/records.jsonl
              collector:
                url: "{{collector?.OriginalString}}"
            {{extra}}
            """);
    }

    public string Configuration => _configuration;

    public string Printed => _program?.Printed ?? "";

    /// <summary>Starts and waits until every sensor reads: the first object the agent writes says so.</summary>
    public async Task StartAsync()
    {
        int before = Records().Count;
        _program = new ProgramUnderTest("imagesentinel", "run", "--config", _configuration);
        await Wait.UntilAsync("the agent's first coverage record", () =>
        {
            if (_program.HasExited)
            {
                throw new AssertionException($"the agent ended:\n{_program.Printed}");
            }

            return Records().Skip(before).Any(record => record.Coverage is not null);
        }).ConfigureAwait(false);
    }

    public int Stop() => _program!.Stop();

    public void Kill() => _program!.Kill();

    /// <summary>One of the program's commands, asked of this agent.</summary>
    public ToolResult Command(params string[] arguments)
        => Tool.Run(Path.Combine(Repository.Programs, "imagesentinel"), [.. arguments, "--config", _configuration]);

    /// <summary>The JSON lines written so far. A last line that is still being written is left for the next time.</summary>
    public List<OutputRecord> Records()
    {
        string path = Path.Combine(_folder, "records.jsonl");
        if (!File.Exists(path))
        {
            return [];
        }

        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(stream);
        string text = reader.ReadToEnd();
        return [.. text[..(text.LastIndexOf('\n') + 1)]
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(_parser.Parse<OutputRecord>)];
    }

    /// <summary>Keeps the records and what was printed in <c>artifacts/</c>, for whoever asks why a test failed.</summary>
    public void Keep(string name)
    {
        string folder = Path.Combine(Repository.Root, "artifacts", "lab-records");
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, name + ".txt"), Printed);
        string records = Path.Combine(_folder, "records.jsonl");
        if (File.Exists(records))
        {
            File.Copy(records, Path.Combine(folder, name + ".jsonl"), overwrite: true);
        }
    }

    public void Dispose() => _program?.Dispose();
}
