using System.Net;
using System.Net.Sockets;
using ImageSentinel.Collector.Api;
using ImageSentinel.Collector.Ingest;
using ImageSentinel.Collector.Store;
using ImageSentinel.Collector.Web;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace ImageSentinel.Collector.Hosting;

/// <summary>Puts the collector together and runs it until it is told to stop.</summary>
internal static partial class CollectorProcess
{
    // Below the 10 s in which SIGTERM is to be obeyed.
    private static readonly TimeSpan DrainLimit = TimeSpan.FromSeconds(8);

    /// <exception cref="StartupException">It cannot start; nothing was begun.</exception>
    public static async Task<int> RunAsync(CollectorOptions options, CancellationToken stop)
    {
        WebApplication app = Build(options, TimeProvider.System);
        await using (app.ConfigureAwait(false))
        {
            await StartAsync(app, stop).ConfigureAwait(false);
            await app.WaitForShutdownAsync(stop).ConfigureAwait(false);
        }

        return ExitCodes.Success;
    }

    /// <summary>Opens the state directory and reads the certificates; listens only after <see cref="StartAsync"/>.</summary>
    public static WebApplication Build(CollectorOptions options, TimeProvider time, Action<ILoggingBuilder>? logging = null)
    {
        // No files, environment or arguments but ours: a stray ASPNETCORE_URLS must not open a port.
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions
        {
            Args = [],
            ApplicationName = "imagesentinel-collector",
            ContentRootPath = AppContext.BaseDirectory,
        });
        builder.Configuration.Sources.Clear();
        (logging ?? Logging)(builder.Logging.ClearProviders());

        ILoggerFactory early = LoggerFactory.Create(logging ?? Logging);
        ServerCertificate? certificate = options.TlsCertificate is null
            ? null
            : new ServerCertificate(options, early.CreateLogger<ServerCertificate>());
        StoreDatabase database = StoreDatabase.Open(options.StateDirectory, early.CreateLogger<StoreDatabase>(), time);

        builder.Services.AddSystemd();
        builder.Services.AddSingleton(options).AddSingleton(time)
            .AddSingleton(_ => database) // by factory, so that the container disposes it
            .AddSingleton<RecordStore>().AddSingleton<RecordReader>()
            .AddSingleton<RecordFeed>().AddSingleton<AgentStreams>()
            .AddHostedService<Retention>().AddHostedService<SilenceWatch>();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = DrainLimit);
        builder.Services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = FindingIngest.MaximumMessageSize;

            // Agents do not compress, and a small message must not become a large one here.
            grpc.CompressionProviders = [];
        });
        builder.WebHost.UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => Listen(kestrel, options, certificate));

        WebApplication app = builder.Build();
        app.UseListenerRoles(options);
        app.MapGrpcService<FindingIngest>();
        ReadApi.Map(app);
        PageRoutes.Map(app);
        return app;
    }

    public static async Task StartAsync(WebApplication app, CancellationToken stop)
    {
        CollectorOptions options = app.Services.GetRequiredService<CollectorOptions>();
        ILogger logger = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("ImageSentinel.Collector");

        // Resolved before Kestrel, so that it is disposed after the last request.
        app.Services.GetRequiredService<StoreDatabase>();
        try
        {
            await app.StartAsync(stop).ConfigureAwait(false);
        }
        catch (Exception error) when (error is IOException or SocketException)
        {
            throw Explain(options, error);
        }

        if (options.ClientCa is null && (!options.Listen.IsLocal || options.Web is { IsLocal: false }))
        {
            Unauthenticated(logger);
        }

        Ready(logger, string.Join(", ", app.Urls), options.StateDirectory);
    }

    private static void Listen(KestrelServerOptions kestrel, CollectorOptions options, ServerCertificate? certificate)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxConcurrentConnections = 20_000;
        kestrel.Limits.MaxRequestHeadersTotalSize = 16 * 1024;
        kestrel.Limits.Http2.MaxStreamsPerConnection = 8;
        kestrel.Limits.Http2.KeepAlivePingDelay = TimeSpan.FromSeconds(20);
        kestrel.Limits.Http2.KeepAlivePingTimeout = TimeSpan.FromSeconds(10);

        // The stream of an agent trickles by nature; its own idle limit watches it.
        kestrel.Limits.MinRequestBodyDataRate = null;
        Listen(kestrel, options.Listen, ListenerRole.Agents, HttpProtocols.Http2, certificate);
        if (options.Web is not null)
        {
            Listen(kestrel, options.Web, ListenerRole.Readers, HttpProtocols.Http1, certificate);
        }
    }

    private static void Listen(KestrelServerOptions kestrel, ListenAddress address, ListenerRole role, HttpProtocols protocols, ServerCertificate? certificate)
    {
        if (address.SocketPath is not null)
        {
            RemoveStaleSocket(address.SocketPath);
            kestrel.ListenUnixSocket(address.SocketPath, Configure);
        }
        else
        {
            kestrel.Listen(address.EndPoint!, Configure);
        }

        void Configure(ListenOptions listen)
        {
            listen.Protocols = protocols;
            listen.Use(next => connection =>
            {
                connection.Features.Set(new ListenerRoles.RoleFeature(role));
                return next(connection);
            });
            if (address.Tls)
            {
                listen.UseHttps(new TlsHandshakeCallbackOptions
                {
                    OnConnection = _ => ValueTask.FromResult(certificate!.Current()),
                    HandshakeTimeout = TimeSpan.FromSeconds(10),
                });
            }
        }
    }

    // A collector that was killed leaves its socket behind, and nobody can bind to it again. Nobody answers there.
    private static void RemoveStaleSocket(string path)
    {
        if (!File.Exists(path))
        {
            return;
        }

        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException error) when (error.SocketErrorCode == System.Net.Sockets.SocketError.ConnectionRefused)
        {
            File.Delete(path);
        }
    }

    private static StartupException Explain(CollectorOptions options, Exception error)
    {
        string where = options.Web is null ? $"{options.Listen}" : $"{options.Listen} or {options.Web}";
        return error switch
        {
            _ when error is AddressInUseException || error.InnerException is AddressInUseException
                => new(ExitCodes.Unavailable, StartupException.OneLine(error.Message), error),
            _ when SocketError(error) is System.Net.Sockets.SocketError.AccessDenied
                => new(ExitCodes.NoPermission, $"not permitted to listen on {where}", error),
            _ when SocketError(error) is System.Net.Sockets.SocketError.AddressNotAvailable
                => new(ExitCodes.Configuration, $"this host has no such address: {where}", error),
            _ => new(ExitCodes.Failure, $"cannot listen on {where}: {StartupException.OneLine(error.Message)}", error),
        };
    }

    private static SocketError? SocketError(Exception? error)
        => error is null ? null : error is SocketException socket ? socket.SocketErrorCode : SocketError(error.InnerException);

    private static void Logging(ILoggingBuilder logging)
    {
        bool journal = Environment.GetEnvironmentVariable("JOURNAL_STREAM") is not null;
        if (journal)
        {
            logging.AddSystemdConsole(console => console.IncludeScopes = false);
        }
        else
        {
            logging.AddSimpleConsole(console =>
            {
                console.SingleLine = true;
                console.UseUtcTimestamp = true;
                console.TimestampFormat = "yyyy-MM-dd'T'HH:mm:ss'Z' ";
            });
        }

        logging.Services.Configure<Microsoft.Extensions.Logging.Console.ConsoleLoggerOptions>(
            console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        logging.SetMinimumLevel(LogLevel.Warning).AddFilter("ImageSentinel", LogLevel.Information);

        // A stack trace for every stream that breaks the protocol; the ingest says each in one line, and not too often.
        logging.AddFilter("Grpc.AspNetCore.Server", LogLevel.None);

        // "Hosting failed to start" with its stack trace: we say the same in one line.
        logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical);
    }

    [LoggerMessage(EventIds.Ready, LogLevel.Information, "Ready: {Urls}; state in {State}")]
    private static partial void Ready(ILogger logger, string urls, string state);

    [LoggerMessage(EventIds.UnauthenticatedListener, LogLevel.Warning, "Other hosts can reach this collector and need no certificate: anybody there can read and write. Give --client-ca")]
    private static partial void Unauthenticated(ILogger logger);
}
