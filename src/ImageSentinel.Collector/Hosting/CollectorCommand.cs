using System.CommandLine;
using System.Globalization;

namespace ImageSentinel.Collector.Hosting;

/// <summary>The command line. Every option may also come from the environment: <c>--keep-days</c> is
/// <c>IMAGESENTINEL_COLLECTOR_KEEP_DAYS</c>; the command line wins.</summary>
internal sealed class CollectorCommand
{
    private const string EnvironmentPrefix = "IMAGESENTINEL_COLLECTOR_";

    private readonly Option<string?> _listen = Text("--listen", "URL", "Where agents connect (gRPC): http://, https:// or unix:. Default http://127.0.0.1:4317, https when --tls-cert is given");
    private readonly Option<string?> _web = Text("--web", "URL", "The page and the read API (HTTP/1.1), or none. Default http://127.0.0.1:4318");
    private readonly Option<string?> _state = Text("--state", "DIR", "Directory of the database, made with mode 0700. Default /var/lib/imagesentinel-collector");
    private readonly Option<string?> _certificate = Text("--tls-cert", "FILE", "PEM certificate chain of this server");
    private readonly Option<string?> _key = Text("--tls-key", "FILE", "PEM private key of --tls-cert");
    private readonly Option<string?> _clientCa = Text("--client-ca", "FILE", "PEM roots; TLS clients must show a certificate from one of them");
    private readonly Option<string?> _insecure = Text("--insecure-listen", "", "Allow listeners without TLS that other hosts can reach");
    private readonly Option<string?> _webHosts = Text("--web-host", "NAMES", "Further host names the page answers to, separated by commas");
    private readonly Option<string?> _keepDays = Text("--keep-days", "N", "Remove builds and findings older than this; 0 keeps all. Default 90");
    private readonly Option<string?> _maxSize = Text("--max-size", "SIZE", "Remove the oldest records above this size of the database. Default 2GiB");
    private readonly RootCommand _root;

    public CollectorCommand()
    {
        // A flag that may also be spelled --insecure-listen=false, so that the environment can say both.
        _insecure.Arity = ArgumentArity.ZeroOrOne;
        _insecure.HelpName = "true|false";
        _root = new RootCommand("Receives what ImageSentinel agents find, keeps it, and shows it.")
        {
            _listen, _web, _state, _certificate, _key, _clientCa, _insecure, _webHosts, _keepDays, _maxSize,
        };
        _root.SetAction((result, stop) => CollectorProcess.RunAsync(Read(result), stop));
    }

    public async Task<int> InvokeAsync(string[] arguments)
    {
        ParseResult parsed = _root.Parse(arguments);
        if (parsed.Errors.Count > 0)
        {
            await Console.Error.WriteLineAsync($"imagesentinel-collector: {parsed.Errors[0].Message} (--help lists the options)").ConfigureAwait(false);
            return ExitCodes.Usage;
        }

        try
        {
            // SIGTERM and Ctrl-C belong to the host, which drains the streams.
            var configuration = new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null };
            return await parsed.InvokeAsync(configuration).ConfigureAwait(false);
        }
        catch (StartupException failure)
        {
            await Console.Error.WriteLineAsync($"imagesentinel-collector: {StartupException.OneLine(failure.Message)}").ConfigureAwait(false);
            return failure.ExitCode;
        }
#pragma warning disable CA1031 // The program's last line: whatever it was, a person gets one sentence and scripts an exit code.
        catch (Exception error)
#pragma warning restore CA1031
        {
            // The innermost cause says what is wrong (a library that is not there).
            Exception cause = error.GetBaseException();
            await Console.Error.WriteLineAsync($"imagesentinel-collector: unexpected {cause.GetType().Name}: {StartupException.OneLine(cause.Message)}").ConfigureAwait(false);
            return ExitCodes.Failure;
        }
    }

    /// <exception cref="StartupException">A value cannot be read (64) or used (78).</exception>
    internal CollectorOptions Read(ParseResult result)
    {
        string? certificate = Value(result, _certificate);
        string? listenText = Value(result, _listen);
        ListenAddress listen = Address(listenText ?? "http://127.0.0.1:4317", _listen.Name);
        string web = Value(result, _web) ?? "http://127.0.0.1:4318";
        var options = new CollectorOptions
        {
            Listen = listenText is null && certificate is not null ? listen.WithTls() : listen,
            Web = web is "none" ? null : Address(web, _web.Name),
            StateDirectory = Path.GetFullPath(Value(result, _state) ?? DefaultState()),
            TlsCertificate = certificate,
            TlsKey = Value(result, _key),
            ClientCa = Value(result, _clientCa),
            InsecureListen = Flag(result),
            WebHosts = Value(result, _webHosts)?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) ?? [],
            KeepDays = Number(Value(result, _keepDays), 90),
            MaxStoreBytes = Size(Value(result, _maxSize), 2L << 30),
        };
        options.Validate();
        return options;
    }

    internal ParseResult Parse(params string[] arguments) => _root.Parse(arguments);

    private static string DefaultState()
        => Environment.GetEnvironmentVariable("STATE_DIRECTORY") is { Length: > 0 } given ? given : "/var/lib/imagesentinel-collector";

    private static Option<string?> Text(string name, string valueName, string help)
        => new(name) { Description = help, HelpName = valueName.Length == 0 ? null : valueName };

    private static string? Value(ParseResult result, Option<string?> option)
        => result.GetValue(option) is { Length: > 0 } given
            ? given
            : Environment.GetEnvironmentVariable(EnvironmentPrefix + option.Name.TrimStart('-').Replace('-', '_').ToUpperInvariant()) is { Length: > 0 } inherited
                ? inherited
                : null;

    private bool Flag(ParseResult result)
        => (result.GetResult(_insecure) is { Implicit: false, Tokens.Count: 0 } ? "true" : Value(result, _insecure)) switch
        {
            null or "false" or "0" or "no" => false,
            "true" or "1" or "yes" => true,
            string other => throw new StartupException(ExitCodes.Usage, $"--insecure-listen: '{other}' is neither true nor false"),
        };

    private static ListenAddress Address(string text, string option)
        => ListenAddress.TryParse(text, out ListenAddress? address, out string? error)
            ? address
            : throw new StartupException(ExitCodes.Usage, $"{option}: {error}");

    private static int Number(string? text, int otherwise)
        => text is null ? otherwise
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) ? value
            : throw new StartupException(ExitCodes.Usage, $"--keep-days: '{text}' is not a number of days");

    private static long Size(string? text, long otherwise)
        => text is null ? otherwise
            : ByteSize.TryParse(text, out long value) ? value
            : throw new StartupException(ExitCodes.Usage, $"--max-size: '{text}' is not a size like 512MiB");
}
