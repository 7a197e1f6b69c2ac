using Microsoft.Extensions.Logging;

namespace ImageSentinel.Agent.Uplink;

/// <content>What the spool says: once at the beginning of an episode, once at its end.</content>
internal sealed partial class FindingSpool
{
    [LoggerMessage(UplinkEventIds.SpoolFailing, LogLevel.Error, "The spool does not take records; they wait in memory: {Problem}")]
    private static partial void Failing(ILogger logger, string problem);

    [LoggerMessage(UplinkEventIds.SpoolRecovered, LogLevel.Information, "The spool takes records again")]
    private static partial void Recovered(ILogger logger);

    [LoggerMessage(UplinkEventIds.SpoolDamaged, LogLevel.Critical, "{Path} was damaged and moved to {Aside}; {Count} unsent records were carried over, others may be lost: {Reason}")]
    private static partial void Damaged(ILogger logger, string path, string aside, int count, string reason);

    [LoggerMessage(UplinkEventIds.SpoolMemoryFull, LogLevel.Critical, "The spool does not take records and memory for them is full; the least severe are given up: {Problem}")]
    private static partial void MemoryFull(ILogger logger, string problem);

    [LoggerMessage(UplinkEventIds.SpoolLostAtStop, LogLevel.Critical, "{Count} records could not be written before the end: {Problem}")]
    private static partial void LostAtStop(ILogger logger, int count, string problem);

    [LoggerMessage(UplinkEventIds.SpoolGivingUp, LogLevel.Error, "The spool is at its limit of {Limit} bytes and the collector does not take records; the least severe are given up, {GivenUp} so far")]
    private static partial void GivingUp(ILogger logger, long limit, ulong givenUp);

    [LoggerMessage(UplinkEventIds.SpoolIdentityRenewed, LogLevel.Warning, "The collector knows more of this spool than the spool itself, as after restoring a backup; going on as spool {SpoolId}")]
    private static partial void IdentityRenewed(ILogger logger, string spoolId);
}
