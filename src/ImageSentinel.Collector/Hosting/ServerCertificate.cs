using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace ImageSentinel.Collector.Hosting;

/// <summary>The server's certificate and the roots of its clients, read again when the files change.</summary>
/// <remarks>A stream of an agent outlives a certificate, so each handshake asks here. A bad replacement is told once
/// and the last good one stays in use.</remarks>
internal sealed partial class ServerCertificate
{
    private const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    private readonly string _certificatePath;
    private readonly string _keyPath;
    private readonly string? _clientCaPath;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private SslServerAuthenticationOptions _current;
    private (DateTime, DateTime, DateTime) _stamp;

    /// <exception cref="StartupException">A file cannot be read, is not PEM, or key and certificate do not match.</exception>
    public ServerCertificate(CollectorOptions options, ILogger logger)
    {
        _certificatePath = options.TlsCertificate!;
        _keyPath = options.TlsKey!;
        _clientCaPath = options.ClientCa;
        _logger = logger;
        _stamp = Stamp();
        _current = Load();
    }

    public SslServerAuthenticationOptions Current()
    {
        lock (_gate)
        {
            (DateTime, DateTime, DateTime) stamp = Stamp();
            if (stamp != _stamp)
            {
                _stamp = stamp;
                try
                {
                    _current = Load();
                    Reloaded(_logger, _certificatePath);
                }
                catch (StartupException failure)
                {
                    ReloadFailed(_logger, failure.Message);
                }
            }

            return _current;
        }
    }

    private (DateTime, DateTime, DateTime) Stamp()
        => (File.GetLastWriteTimeUtc(_certificatePath), File.GetLastWriteTimeUtc(_keyPath),
            _clientCaPath is null ? default : File.GetLastWriteTimeUtc(_clientCaPath));

    private SslServerAuthenticationOptions Load()
    {
        var chain = new X509Certificate2Collection();
        X509Certificate2 own = Read("--tls-cert", _certificatePath, path =>
        {
            chain.ImportFromPemFile(path);
            return chain.Count > 0 ? chain[0] : throw new CryptographicException("holds no certificate");
        });
        X509Certificate2 withKey = Read("--tls-key", _keyPath, path => X509Certificate2.CreateFromPem(own.ExportCertificatePem(), File.ReadAllText(path)));
        var options = new SslServerAuthenticationOptions
        {
            // Offline: a start must not depend on somebody's OCSP responder.
            ServerCertificateContext = SslStreamCertificateContext.Create(withKey, chain, offline: true),
        };
        if (_clientCaPath is not null)
        {
            var roots = new X509Certificate2Collection();
            Read("--client-ca", _clientCaPath, path =>
            {
                roots.ImportFromPemFile(path);
                return roots.Count > 0 ? roots[0] : throw new CryptographicException("holds no certificate");
            });
            options.ClientCertificateRequired = true;
            options.CertificateRevocationCheckMode = X509RevocationMode.NoCheck;
            options.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
            };
            options.CertificateChainPolicy.CustomTrustStore.AddRange(roots);
            options.CertificateChainPolicy.ApplicationPolicy.Add(new Oid(ClientAuthentication));
            options.RemoteCertificateValidationCallback = (_, certificate, _, errors) => Accept(certificate, errors);
        }

        return options;
    }

    private bool Accept(X509Certificate? certificate, SslPolicyErrors errors)
    {
        // The name in a client's certificate is not the name of a server; the chain is what counts here.
        errors &= ~SslPolicyErrors.RemoteCertificateNameMismatch;
        if (errors != SslPolicyErrors.None)
        {
            ClientRefused(_logger, certificate is null ? "none" : Visible.Of(certificate.Subject), errors);
        }

        return errors == SslPolicyErrors.None;
    }

    private static X509Certificate2 Read(string option, string path, Func<string, X509Certificate2> read)
    {
        try
        {
            return read(path);
        }
        catch (Exception error) when (error is CryptographicException or ArgumentException)
        {
            throw new StartupException(ExitCodes.Configuration, $"{option} {path}: {StartupException.OneLine(error.Message)}", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw StartupException.FromFile(option, path, error);
        }
    }

    [LoggerMessage(EventIds.CertificateReloaded, LogLevel.Information, "New certificate in use: {Path}")]
    private static partial void Reloaded(ILogger logger, string path);

    [LoggerMessage(EventIds.CertificateReloadFailed, LogLevel.Error, "The new certificate cannot be used, the old one stays: {Reason}")]
    private static partial void ReloadFailed(ILogger logger, string reason);

    [LoggerMessage(EventIds.ClientCertificateRefused, LogLevel.Warning, "A client's certificate was refused: {Subject}: {Errors}")]
    private static partial void ClientRefused(ILogger logger, string subject, SslPolicyErrors errors);
}
