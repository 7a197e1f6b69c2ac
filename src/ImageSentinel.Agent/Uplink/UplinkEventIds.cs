namespace ImageSentinel.Agent.Uplink;

/// <summary>Log event ids of export: the band 4000, of which this folder has 4000 to 4099. Never reused.</summary>
internal static class UplinkEventIds
{
    public const int SpoolFailing = 4000;
    public const int SpoolRecovered = 4001;
    public const int SpoolDamaged = 4002;
    public const int SpoolMemoryFull = 4003;
    public const int SpoolLostAtStop = 4004;
    public const int SpoolIdentityRenewed = 4005;
    public const int SpoolGivingUp = 4006;
    public const int CollectorConnected = 4010;
    public const int CollectorLost = 4011;
}
