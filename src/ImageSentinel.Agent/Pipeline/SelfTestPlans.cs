using ImageSentinel.Detection.Model;
using ImageSentinel.Sensors.SelfTesting;
using ImageSentinel.Sensors.Stream;

namespace ImageSentinel.Agent.Pipeline;

/// <summary>What the self-test must try, given what is open. <c>run</c> and <c>doctor</c> share it.</summary>
internal static class SelfTestPlans
{
    public static SelfTestPlan For(SensorSet sensors, IReadOnlyList<EngineFact> reachable) => new()
    {
        Audit = IsOn(sensors.Audit),
        Processes = IsOn(sensors.Processes),
        DataRoots = IsOn(sensors.Layers) ? reachable.ToDictionary(static e => (byte)e.Index, static e => e.DataRoot) : [],
        Engines = IsOn(sensors.Audit) ? reachable.ToDictionary(static e => e.DaemonPid, static e => e.Socket) : [],
    };

    private static bool IsOn(ISensor? sensor) => sensor is not null && sensor.Status.Health != SensorHealth.Off;
}
