namespace ImageSentinel.Collector.Hosting;

/// <summary>Log event ids of the collector: the band 5000. An id is never reused; a retired one keeps its line.</summary>
internal static class EventIds
{
    public const int Ready = 5000;
    public const int Stopping = 5001;
    public const int UnauthenticatedListener = 5002;
    public const int CertificateReloaded = 5010;
    public const int CertificateReloadFailed = 5011;
    public const int ClientCertificateRefused = 5012;
    public const int AgentConnected = 5020;
    public const int AgentGone = 5021;
    public const int AgentRefused = 5022;
    public const int HostSilent = 5023;
    public const int HostBack = 5024;
    public const int RecordConflict = 5025;
    public const int StoreFailing = 5030;
    public const int StoreRecovered = 5031;
    public const int StoreDamaged = 5032;
    public const int StoreMadePrivate = 5033;
    public const int RetentionRemoved = 5040;
    public const int RetentionFailed = 5041;
}
