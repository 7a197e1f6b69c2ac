namespace ImageSentinel.Collector.Hosting;

/// <summary>All that a collector is told before it starts.</summary>
internal sealed record CollectorOptions
{
    /// <summary>Where agents connect: gRPC over HTTP/2, without TLS only on this host.</summary>
    public required ListenAddress Listen { get; init; }

    /// <summary>The read API and the page, HTTP/1.1; null when switched off.</summary>
    public ListenAddress? Web { get; init; }

    /// <summary>Holds the database; made with mode 0700.</summary>
    public required string StateDirectory { get; init; }

    /// <summary>PEM: the certificate, then what leads from it to the root.</summary>
    public string? TlsCertificate { get; init; }

    public string? TlsKey { get; init; }

    /// <summary>PEM roots. When given, every TLS client must show a certificate that leads to one of them.</summary>
    public string? ClientCa { get; init; }

    /// <summary>Allows listeners without TLS that other hosts can reach.</summary>
    public bool InsecureListen { get; init; }

    /// <summary>Further Host header values the page answers to, as behind a reverse proxy.</summary>
    public IReadOnlyList<string> WebHosts { get; init; } = [];

    /// <summary>Builds and findings older than this are removed; 0 keeps them for ever.</summary>
    public int KeepDays { get; init; } = 90;

    /// <summary>Bytes. The oldest records make room above this.</summary>
    public long MaxStoreBytes { get; init; } = 2L << 30;

    /// <summary>How long a host may be silent before it is shown as such; agents speak every 10 s.</summary>
    public TimeSpan SilentAfter { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Refuses combinations that cannot work or would expose the host; every complaint at once.</summary>
    public void Validate()
    {
        var complaints = new List<string>();
        if ((TlsCertificate is null) != (TlsKey is null))
        {
            complaints.Add("--tls-cert and --tls-key belong together");
        }

        if (ClientCa is not null && TlsCertificate is null)
        {
            complaints.Add("--client-ca needs --tls-cert and --tls-key");
        }

        Check(Listen, "--listen", complaints);
        if (Web is not null)
        {
            Check(Web, "--web", complaints);
        }

        if (KeepDays < 0)
        {
            complaints.Add("--keep-days must not be negative");
        }

        if (MaxStoreBytes < 16 << 20)
        {
            complaints.Add("--max-size must be at least 16MiB");
        }

        if (complaints.Count > 0)
        {
            throw new StartupException(ExitCodes.Configuration, string.Join("; ", complaints));
        }
    }

    private void Check(ListenAddress address, string option, List<string> complaints)
    {
        if (address.Tls && TlsCertificate is null)
        {
            complaints.Add($"{option} {address} needs --tls-cert and --tls-key");
        }
        else if (!address.Tls && !address.IsLocal && !InsecureListen)
        {
            complaints.Add($"{option} {address} would be readable and writable by the network: give https:// with --tls-cert and --tls-key (and --client-ca), or --insecure-listen");
        }
    }
}
