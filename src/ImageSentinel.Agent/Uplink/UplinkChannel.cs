using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Grpc.Net.Client;

namespace ImageSentinel.Agent.Uplink;

/// <summary>One connection to the collector. Made anew for every attempt, so that renewed certificates are picked up.</summary>
internal sealed class UplinkChannel : IDisposable
{
    private const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";

    private readonly SocketsHttpHandler _handler;

    /// <exception cref="UplinkException">A certificate or key of ours cannot be used.</exception>
    public UplinkChannel(UplinkOptions options)
    {
        _handler = new SocketsHttpHandler
        {
            // A proxy variable in our environment must not decide where findings go.
            UseProxy = false,
            ConnectTimeout = TimeSpan.FromSeconds(10),
            KeepAlivePingDelay = TimeSpan.FromSeconds(20),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(10),
            PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
        };
        if (options.Url.Scheme == Uri.UriSchemeHttps)
        {
            _handler.SslOptions = Tls(options);
        }

        Channel = GrpcChannel.ForAddress(options.Url, new GrpcChannelOptions
        {
            HttpHandler = _handler,
            MaxReceiveMessageSize = 64 * 1024,
            MaxSendMessageSize = null,
        });
    }

    public GrpcChannel Channel { get; }

    /// <summary>Why the collector's certificate was not accepted; null when it was, or when it was never shown.</summary>
    public string? ServerCertificateProblem { get; private set; }

    /// <summary>True once the collector's certificate was shown and accepted.</summary>
    public bool ServerCertificateAccepted { get; private set; }

    public void Dispose()
    {
        Channel.Dispose();
        _handler.Dispose();
    }

    private SslClientAuthenticationOptions Tls(UplinkOptions options)
    {
        var tls = new SslClientAuthenticationOptions
        {
            TargetHost = options.Url.IdnHost,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        };
        tls.RemoteCertificateValidationCallback = (_, certificate, _, errors) => Accept(options, certificate, errors);
        if (options.Ca is not null)
        {
            tls.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
            };
            tls.CertificateChainPolicy.CustomTrustStore.AddRange(Read("ca", options.Ca));
            tls.CertificateChainPolicy.ApplicationPolicy.Add(new Oid(ServerAuthentication));
        }

        if (options.Certificate is not null)
        {
            X509Certificate2Collection chain = Read("cert", options.Certificate);
            try
            {
                X509Certificate2 own = X509Certificate2.CreateFromPem(chain[0].ExportCertificatePem(), File.ReadAllText(options.Key!));
                tls.ClientCertificateContext = SslStreamCertificateContext.Create(own, chain, offline: true);
            }
            catch (Exception error) when (error is CryptographicException or ArgumentException or IOException or UnauthorizedAccessException)
            {
                throw new UplinkException($"our key {options.Key} cannot be used: {OneLine(error)}", error);
            }
        }

        return tls;
    }

    private bool Accept(UplinkOptions options, X509Certificate? certificate, SslPolicyErrors errors)
    {
        ServerCertificateProblem = errors switch
        {
            SslPolicyErrors.None => null,
            SslPolicyErrors.RemoteCertificateNotAvailable => "the collector showed no certificate",
            _ when errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors) =>
                $"the collector's certificate is not trusted by {options.Ca ?? "this system"}{Expired(certificate)}",
            _ => $"the collector's certificate is not for {options.Url.Host}",
        };
        ServerCertificateAccepted = errors == SslPolicyErrors.None;
        return ServerCertificateAccepted;
    }

    private static string Expired(X509Certificate? certificate)
        => certificate is X509Certificate2 shown && DateTime.Now is var now && (now > shown.NotAfter || now < shown.NotBefore)
            ? $" (valid {shown.NotBefore.ToUniversalTime():yyyy-MM-dd} to {shown.NotAfter.ToUniversalTime():yyyy-MM-dd})"
            : "";

    private static X509Certificate2Collection Read(string setting, string path)
    {
        try
        {
            var certificates = new X509Certificate2Collection();
            certificates.ImportFromPemFile(path);
            return certificates.Count > 0 ? certificates : throw new UplinkException($"{setting} {path} holds no certificate", null);
        }
        catch (Exception error) when (error is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new UplinkException($"{setting} {path} cannot be read: {OneLine(error)}", error);
        }
    }

    private static string OneLine(Exception error) => error.Message.ReplaceLineEndings(" ");
}

/// <summary>The stream could not be opened or has ended; the message is the one line that <c>status</c> shows.</summary>
internal sealed class UplinkException(string message, Exception? inner) : Exception(message, inner);
